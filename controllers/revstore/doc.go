// Package revstore keeps what identity providers have taken back, so that no restart forgets it and every replica knows it: in RevocationChunks,
// objects of the policy's own namespace that a RevocationSource owns.
//
// A chunk is a set of entries of 20 bytes (package revoked), and what a source has taken back is the union of its chunks. So replicas need not
// agree: each adds to a chunk of its own, a small one that is closed after some hundred entries, an entry that is in two chunks does no harm,
// and no order of writes loses one. What comes while a write is under way goes into the next, and is acknowledged after it: a flood is some
// ten writes a second for each source. The replica that leads merges small chunks into large ones, and leaves out what has expired; it
// makes the new one before it deletes the old ones, and deletes only what has not changed since it was read.
//
// Who deletes a source has the cluster's garbage collector delete its chunks, and with that gives its tokens back.
package revstore
