// Package keyset parses and vets key material.
package keyset
