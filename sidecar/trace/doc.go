// Package trace makes the spans of requests: one of the server's kind for each request that is sampled, and below it what took
// the time: judging, waiting for an issuer or its keys, and the app.
//
// A span says what became of a request by the policy's own words: reason, policy, rule, path template, issuer entry. It has no path, no
// query, no header and no value of a token.
package trace
