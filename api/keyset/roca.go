package keyset

import "math/big"

// weakRSALibrary reports whether an RSA modulus has the fingerprint of the Infineon library whose keys can be factored
// (ROCA, CVE-2017-15361): modulo each small prime it lies in the subgroup that 65537 generates. A sound modulus does so
// with a probability of about 2^-27.8 or less for these primes, of which those that tell nothing are left out.
func weakRSALibrary(n *big.Int) bool {
	for _, p := range []int64{
		11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157,
	} {
		rest := new(big.Int).Mod(n, big.NewInt(p)).Int64()
		found := false
		for power, i := int64(1), int64(0); i < p && !found; i++ {
			found = power == rest
			power = power * 65537 % p
		}
		if !found {
			return false
		}
	}
	return true
}
