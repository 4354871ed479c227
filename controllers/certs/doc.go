// Package certs gives the controller its serving certificates and gives everybody else the authority that signs them.
//
// By default nothing else is needed: every replica runs the rotator of open-policy-agent/cert-controller, which keeps an
// authority and a certificate in the Secret bearerguard-certs and writes the authority into the webhook configurations.
// Replicas race for the first write; the loser sees a conflict, reads again and finds all done. Nobody waits for a volume
// to be refreshed: each replica watches the Secret and serves what it holds from memory, on the webhook port and the
// push port alike, within milliseconds of a rotation.
//
// With cert-manager, the certificate comes as files in a mounted Secret, read again every ten seconds, and cert-manager's
// injector writes the authority into the webhook configurations.
//
// Sidecars find the authority in the ConfigMap bearerguard-ca of their own namespace, see Publisher.
package certs
