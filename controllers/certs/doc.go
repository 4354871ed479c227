// Package certs gives the controller its serving certificates and gives everybody else the authority that signs them.
//
// By default nothing else is needed: an authority, its key and a serving certificate are in the Secret bearerguard-certs. Every
// replica watches the Secret and serves what it holds from memory, on the webhook port and the push port alike, within
// milliseconds of a change. The replica that leads rotates: plan says what is due, state.take does it, and the Secret is
// written if it is still the one that was read. An authority is rotated with an overlap, so that nobody is cut off: the
// next one is published to all who are to trust it, signs when they have had time to read it, and the former one is trusted
// a while longer. A Secret that is deleted or garbled is written back from the memory of any replica; one that somebody else
// has made takes over by a rotation. Where a caBundle or a ConfigMap lacks an authority every replica adds it, but only the
// leader takes one away.
//
// With cert-manager, the certificate comes in the Secret bearerguard-issued, which is watched, and cert-manager's injector writes the
// authority into the webhook configurations. Nothing is written but the ConfigMaps. Or it comes as files, read again every ten seconds.
//
// Sidecars find the authority in the ConfigMap bearerguard-ca of their own namespace, or bearerguard-ca-REVISION, see Publisher.
package certs
