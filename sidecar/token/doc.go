// Package token finds and verifies tokens.
package token
