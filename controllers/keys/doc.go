// Package keys resolves the key sources that policies name: Secrets, ConfigMaps, inline sets, JWKS URLs, OIDC discovery, and
// the cluster's own service-account issuer.
//
// Whatever comes from a source is vetted by api/keyset before it is used. A source that fails, be it unreachable, deleted,
// emptied or garbled, keeps its last good keys for as long as this controller runs and says why it fails; a key that is
// removed from a set that is otherwise good is gone with the next read. To take keys away on purpose, remove them from the
// set, or the issuer from the policy.
//
// The last good keys of what is fetched from elsewhere outlive the controller: a Keeper, on the replica that leads, writes
// them into Secrets of the controller's namespace, and a replica that starts, or cannot fetch, takes them from there. They are
// bound to the whole of their source, CA and all, hold public keys only, and keep the time at which they were fetched.
//
// Secrets and ConfigMaps are watched one by one, those that policies name and no others, so a change is known within
// milliseconds; how many watches there are, and how often a namespace's changes are heard of, has a bound. What is beyond it,
// or may not be watched, is read every few seconds: reads are answered from the API server's cache and paced, so that ten
// thousand of them take longer, not more. What comes over HTTP is fetched by api/fetch: each source by itself, so that none
// waits for another, and once for all who name it.
package keys
