// Package authpolicy is the shell around the pure parts of the control plane: it gathers what a namespace holds, lets
// controllers/compile make bundles of it, hands them to controllers/push, and writes the status that controllers/status
// makes of the outcome and of what the sidecars say.
//
// There are two controllers, and the key of both is a namespace. One compiles; it runs on every replica, since every
// replica serves sidecars. The other writes status; it runs on the leader alone.
//
// Where several releases share the cluster, Members say which namespaces this one compiles: those of its cell, and those that have left it
// for as long as pods live there which it injected. It writes statuses of the first alone.
//
// Objects are cached as the API server sent them, with an undecoded spec, and decoded one by one: an object that this
// release cannot decode is a problem of that object and not, as with a typed cache, the end of the whole watch. Pods are
// watched as metadata only, those that are over excluded.
package authpolicy
