// Package openapi reads what an OpenAPI document says of security, and makes an AuthPolicy of it that lets in no more. It reads OpenAPI 3.0 to
// 3.2 and Swagger 2.0. It is pure but for the other files of a document, which it asks its caller for.
package openapi
