// Package compile turns what a namespace holds into what its sidecars are given: policies, revocations, resolved keys and
// the pods' labels in, one bundle for each set of selected policies and one outcome for each policy out. It is pure, and the
// whole snapshot alone decides, so that no order of events can lead to another result.
//
// A Memory spares what was done before: policies are checked once each; pods are grouped by those of their labels that a selector
// mentions, and each group looks for its policies once; a bundle is made again if one of its policies or key sets is another. A
// test holds it to a plain compiler that does all of that anew, pod by pod.
//
// # A policy that does not compile
//
// With the validating webhook there is none. Without it (switched off, or a policy from before an upgrade) one bad policy
// must neither disturb the others nor open a hole. It is replaced by a stand-in of the same name and mode which
//
//   - allows nothing: its allow rules are gone, and requests that only they let in are refused;
//   - still removes its identity headers from requests, so that no client can forge them;
//   - refuses every request if the policy had a deny rule, or identity headers that cannot be read, since what should
//     have been refused cannot be known. An Audit policy never refuses; its stand-in neither.
//
// Policies that compile each by itself but not together (they name more than 64 issuers) are taken in order, oldest
// first and then by name; the one that does not fit any more gets a stand-in. So do all policies of a pod whose bundle is
// larger than a sidecar takes, or for which the bundles of the namespace leave no room in the controller's memory; and so do
// the youngest of a namespace that has more policies, rules or sources of keys than MaxPolicies, MaxRules, MaxKeySources.
//
// Stand-ins keep the identity headers, so they can be too large as well. All pods of the namespace for which that is so share one
// small bundle, with a single policy that refuses every request. It says Enforce whatever the policies say: it does not remove their
// identity headers, so nothing may pass. Its Ref names no policy, since none of this namespace is in it.
package compile
