package memlimit

// What a client connection may cost in bytes, besides what has bounds of its own: Kernel is the kernel's part, both sockets of a request that is
// under way; TLS keeps ciphers and buffers.
const (
	Kernel  = 8 << 10
	plain   = 16 << 10
	withTLS = 24 << 10
)

const (
	allElse = 32 << 20 // bytes, of a sidecar without connections and tokens
	least   = 256      // connections
)

// Cache returns how many bytes a sidecar's cache of verified tokens has that has so many by default: a quarter of its limit if that is less.
func Cache(limit, byDefault int64) int64 { return min(byDefault, max(limit/4, 1)) }

// Connections returns how many client connections a sidecar holds under a limit of its memory, in bytes, with a cache of tokens of so many.
func Connections(limit, cache int64, tls bool) int64 {
	each := int64(plain)
	if tls {
		each = withTLS
	}
	return max((limit-max(cache, 0)-allElse)/each, least)
}
