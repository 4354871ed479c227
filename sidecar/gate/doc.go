// Package gate settles the fate of every request: it is the one judge, whatever server the request came in by.
//
// A Snapshot is a bundle made ready: policies compiled, keys prepared, revocations indexed, with a cache of the tokens
// verified under it. A Gate holds the snapshot in force and swaps it atomically; Judge loads it once, so that a request
// is judged by one state of the world from beginning to end. The order of a judgement is
//
//	snapshot -> method, host, path -> find the token -> verify it (cached) -> revoked? -> decide -> edits
//
// and the first step that says no ends it. What is not said is no: the zero Verdict refuses.
//
// The API knows nothing of net/http: a request is described by plain values and a small Header interface, and a Verdict
// says what to forward (canonical host and target, header edits) without doing it.
//
// Where only Audit policies select the workload, everything is forwarded as it came, and what Enforce would have said,
// also of a malformed target or host, is recorded; only CONNECT and TRACE are refused.
//
// # Headers that say what the request is
//
// X-Original-URL, X-Rewrite-URL, X-HTTP-Method-Override and their kin are removed: some frameworks act on them, and
// what is matched must be what the app acts on.
//
// # Identity headers
//
// A header that an Enforce policy names under forward is removed from every request, in every spelling that differs
// only in case or in bytes other than letters and digits ("X_User" for "X-User"), and set again only from a claim of a
// token that an issuer of that very policy verified. Where two policies name the same header, the policy that comes
// first by name and has a value for it wins. A claim's value is written as UTF-8. A value that a header cannot carry
// unchanged leaves the header out: the empty string, control bytes, white space at the ends, and in a CSV also a comma
// inside an element. Headers of Audit policies are neither removed nor set: an Audit policy changes nothing.
package gate
