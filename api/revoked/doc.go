// Package revoked is the revocations of a namespace as controller and sidecars hold and send them: a sorted set of 20 bytes an
// entry, and what leads from one set to another.
//
// An entry has no text. It is the first 96 bits of a SHA-256 over kind, issuer and value, with the two times that an entry may
// have. That is enough:
//
//   - An entry never fails to take back what it names, since equal texts have equal hashes.
//   - An entry takes back something that nobody named only if two texts have the same 96 bits. For a million entries, that
//     happens to a given token by accident with a probability of 10^-23.
//   - Somebody who chooses the ids of his own tokens, and has these revoked, wants the id of another's genuine token hit: he has
//     to find a second preimage, in some 2^96 tries for each token aimed at, 2^76 if any of a million will do, and each try that
//     hits must be signed by the issuer and revoked. Two texts of his own that collide cost 2^48 tries, and harm his own tokens only.
//
// A Set has 256 parts by the first byte of the hash. A set that differs from another in one entry shares the other 255 parts, and its
// version is a hash over the hashes of its parts, so an entry that comes to a million costs the work of one part.
package revoked
