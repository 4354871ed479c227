// Package fetch gets key sets over HTTP from places that a policy's author names, and that the operator therefore does
// not trust: whoever may write a policy must not be able to make the controller or a sidecar talk to addresses that only
// they can reach (server-side request forgery).
//
// JWKS and Discover make one fetch under these rules: https unless the operator allows plain http; the address is
// checked when the connection is made, so after name resolution, and every time; no proxies from the environment; no
// redirect to another origin; bounded in time and size; status 200 only; and no error ever repeats what was received.
//
// Poller keeps many sources fresh: one fetch for all who want the same source, the last good answer kept while a source
// fails, backoff with jitter, and no source ever waits for another.
package fetch
