// Package isolate turns policies with networkPolicy: true into NetworkPolicies: pure, values in and values out.
//
// In capture mode "ports" nothing keeps clients from the app's own port but the app. A NetworkPolicy does, where the cluster's network
// enforces them. NetworkPolicies add up: each can only let in more. So one is made
//
//   - for each set of ports that sidecars of selected pods listen on, found by the label that injection sets: what one pod's sidecar serves
//     is never opened on another pod, where something else may listen; and
//   - not where other NetworkPolicies isolate all of these pods already: beside others, it could not close anything, and would let in
//     everybody to the sidecar where the others let in a few. Where they isolate a part it is made, and told of: one pod that somebody adds or
//     labels must not open all others past their sidecar, and what it opens on the part are ports that a sidecar guards.
//
// Pods in capture mode "redirect" carry no such label and are left alone: there is no way around their sidecar over TCP.
package isolate
