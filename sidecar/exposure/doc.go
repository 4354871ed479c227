// Package exposure finds ports of the app that can be reached past the sidecar: the kernel's tables of sockets, which all
// containers of a pod share, say where something listens.
package exposure
