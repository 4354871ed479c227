// Package inject puts the sidecar into a pod: pod in, pod out, with a report. It is pure; the admission webhook and the
// command line are thin shells around it.
//
// A pod asks by the annotation bearerguard.dev/inject or by the label of that name on its namespace; the nearest wins.
// What a pod gets:
//
//   - bearerguard, a native sidecar (an init container with restartPolicy Always), ahead of the pod's own init
//     containers, so that the app never starts before its guard and Jobs complete;
//   - in redirect capture, bearerguard-capture before it: an init container with NET_ADMIN alone, which sends the pod's
//     inbound TCP to the sidecar. In ports capture nothing in the pod has any privilege;
//   - its identity: a projected token for the push service and the certificate authority to trust;
//   - every httpGet, tcpSocket and grpc probe on a captured port, rewritten to the sidecar, which runs the original
//     against the app without a token.
//
// A wrong annotation is an error that names it and says what is expected, never a silent default. Inject is idempotent:
// it takes out what an earlier run put in and starts afresh, so that containers added in between are covered too.
package inject
