// Package dashboard serves a page of this machine that shows what guards a cluster: policies, workloads, keys, and what is refused and
// why. It reads what its user may read, changes nothing, and keeps it in memory only.
//
// Facts are gathered by a Watcher, only while somebody looks, within bounds on how many sidecars are asked and for how long. View, which
// is pure, makes of them the State that the page draws.
package dashboard
