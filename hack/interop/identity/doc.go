// Package identity tests rules on who acts and how they logged in against programs that others wrote: an OpenID provider with
// several authentication classes, and SPIFFE's own library.
package identity
