package keyset

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/policy"
)

func spki(t testing.TB, pub any) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func inUTF16(s, mark string, low int) string {
	out := []byte(mark)
	for _, u := range utf16.Encode([]rune(s)) {
		pair := []byte{byte(u >> 8), byte(u)}
		out = append(out, pair[1-low], pair[low])
	}
	return string(out)
}

// publicTexts are texts with public material that mean keys: in each of them the P-256 key of the ring and no other.
func publicTexts(t testing.TB) map[string]string {
	t.Helper()
	k := keys()
	der := spki(t, &k.p256.PublicKey)
	pem := block("PUBLIC KEY", der, nil)
	one, b64der := text(public(k.p256)), base64.StdEncoding.EncodeToString(der)
	cert := certificate(t, "leaf", &k.p256.PublicKey, nil, k.p256)
	return map[string]string{
		"PEM":                                 pem,
		"PEM after a comment":                 "# key of corp\n" + pem,
		"PEM after bag attributes":            "Bag Attributes\n    friendlyName: corp\n    localKeyID: 01 02\nsubject=CN = corp\n\n" + pem,
		"PEM with text after it":              pem + "-- made in 2026 --\n",
		"PEM after a byte order mark":         "\ufeff" + pem,
		"PEM with CRLF":                       strings.ReplaceAll(pem, "\n", "\r\n"),
		"PEM with CR":                         strings.ReplaceAll(pem, "\n", "\r"),
		"PEM, indented":                       "key: |\n  " + strings.ReplaceAll(pem, "\n", "\n  "),
		"PEM in one line with \\n":            strings.ReplaceAll(pem, "\n", `\n`),
		"PEM in one line with blanks":         strings.ReplaceAll(pem, "\n", " "),
		"PEM in one line without anything":    strings.ReplaceAll(pem, "\n", ""),
		"PEM in UTF-16LE":                     inUTF16(pem, "\xff\xfe", 0),
		"PEM in UTF-16BE":                     inUTF16(pem, "\xfe\xff", 1),
		"PEM in UTF-16 without a mark":        inUTF16(pem, "", 0),
		"PEM under the label of PKCS 1":       block("RSA PUBLIC KEY", der, nil),
		"a certificate":                       block("CERTIFICATE", cert.Raw, nil),
		"a certificate after its description": "Certificate:\n    Data:\n        Version: 3 (0x2)\n" + block("CERTIFICATE", cert.Raw, nil),
		"a certificate in DER":                string(cert.Raw),
		"a certificate in base64":             base64.StdEncoding.EncodeToString(cert.Raw),
		"DER":                                 string(der),
		"DER and a line break":                string(der) + "\n",
		"base64 DER":                          b64der,
		"base64 DER and a line break":         b64der + "\n",
		"base64 DER in lines":                 b64der[:64] + "\n" + b64der[64:] + "\n",
		"base64url DER":                       base64.URLEncoding.EncodeToString(der),
		"base64url DER without padding":       base64.RawURLEncoding.EncodeToString(der),
		"base64 DER after a byte order mark":  "\ufeff" + b64der,
		"a JWK Set":                           jwks(public(k.p256)),
		"a JWK Set after a byte order mark":   "\ufeff" + jwks(public(k.p256)),
		"a JWK Set after white space":         "\n\t " + jwks(public(k.p256)) + "\n\n",
		"a JWK Set in UTF-16":                 inUTF16(jwks(public(k.p256)), "\xff\xfe", 0),
		"a JWK":                               one,
		"a list of JWKs":                      "[" + one + "]",
		"a list of JWKs after a mark":         "\ufeff [" + one + "]\n",
	}
}

// foreignTexts are texts with public material that are not read: a message says what they are.
func foreignTexts(t testing.TB) map[string]struct{ text, says string } {
	t.Helper()
	k := keys()
	der := spki(t, &k.rsa.PublicKey)
	cert := certificate(t, "leaf", &k.rsa.PublicKey, nil, k.rsa)
	b64der, pem := base64.StdEncoding.EncodeToString(der), block("PUBLIC KEY", der, nil)
	set, one := jwks(public(k.rsa)), public(k.rsa)
	ssh := func(kind string) string {
		body := append([]byte{0, 0, 0, byte(len(kind))}, kind...)
		return base64.StdEncoding.EncodeToString(append(body, der...))
	}
	return map[string]struct{ text, says string }{
		"an ssh-rsa line":             {"ssh-rsa " + ssh("ssh-rsa") + " me@host", "OpenSSH"},
		"an ssh-ed25519 line":         {"ssh-ed25519 " + ssh("ssh-ed25519"), "OpenSSH"},
		"an ecdsa line":               {`command="x" ecdsa-sha2-nistp256 ` + ssh("ecdsa-sha2-nistp256"), "OpenSSH"},
		"an ssh key without its word": {ssh("ssh-rsa"), "OpenSSH"},
		"RFC 4716":                    {"---- BEGIN SSH2 PUBLIC KEY ----\n" + b64der + "\n---- END SSH2 PUBLIC KEY ----", "RFC 4716"},
		"a PGP key":                   {block("PGP PUBLIC KEY BLOCK", der, nil), "PEM block 1: is none of"},
		"garbled PEM":                 {pem[:len(pem)-20], "PEM block 1: is garbled"},
		"PEM that is commented out":   {"# " + strings.ReplaceAll(strings.TrimSpace(pem), "\n", "\n# "), "PEM block 1: is garbled"},
		"a certificate request":       {block("CERTIFICATE REQUEST", der, nil), "PEM block 1: is none of"},
		"a JWK Set after a comment":   {"# keys\n" + set, "not the whole text"},
		"a JWK Set in a script":       {"var keys = " + set + ";", "not the whole text"},
		"a JWK Set in a JSON string":  {text(set), "not the whole text"},
		"a JWK Set, form-encoded":     {strings.NewReplacer(`"`, "%22", ":", "%3A").Replace("keys=" + set), "not the whole text"},
		"a JWK in YAML":               {fmt.Sprintf("kty: RSA\nn: %s\ne: AQAB\n", one["n"]), "not the whole text"},
		"two JWKs, one after another": {text(one) + "\n" + text(one), "data after its end"},
		"an unfinished JWK Set":       {set[:len(set)-2], "is not valid JSON"},
		"JSON of something else":      {fmt.Sprintf(`{"realm":"corp","public_key":%q}`, b64der), "is no JWK Set"},
		"base64 of PEM":               {base64.StdEncoding.EncodeToString([]byte(pem)), "encoded twice"},
		"base64 of PEM and a comment": {base64.StdEncoding.EncodeToString([]byte("# " + pem)), "encoded twice"},
		"base64 of a JWK Set":         {base64.StdEncoding.EncodeToString([]byte(set)), "encoded twice"},
		"base64 of base64":            {base64.StdEncoding.EncodeToString([]byte(b64der)), "encoded twice"},
		"hex of DER":                  {hex.EncodeToString(der), "encoded twice"},
		"hex of DER with colons":      {strings.TrimSuffix(strings.ReplaceAll(fmt.Sprintf("% X", der), " ", ":"), ":"), "encoded twice"},
		"base64 DER after a word":     {"public_key: " + b64der, "with something around it"},
		"base64 DER in quotes":        {`"` + b64der + `"`, "with something around it"},
		"a certificate in XML":        {"<ds:X509Certificate>" + base64.StdEncoding.EncodeToString(cert.Raw) + "</ds:X509Certificate>", "with something around it"},
		"DER with more behind it":     {string(der) + "more", "with something around it"},
		"a .NET key":                  {"<RSAKeyValue><Modulus>" + base64.StdEncoding.EncodeToString(k.rsa.N.Bytes()) + "</Modulus><Exponent>AQAB</Exponent></RSAKeyValue>", "RSA key in a form"},
		"openssl's modulus":           {fmt.Sprintf("Modulus=%X\n", k.rsa.N), "RSA key in a form"},
	}
}

// TestPublicMaterialIsNeverASecret is the attack: with an HMAC algorithm listed, whoever knows the text could make tokens
// if it were taken for a secret. It is read as keys, or refused; never a secret, whatever the reading says.
func TestPublicMaterialIsNeverASecret(t *testing.T) {
	t.Parallel()
	want, err := Parse([]byte(jwks(public(keys().p256))), Public)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range publicTexts(t) {
		for _, r := range []Reading{{Use: Verify}, {Use: Verify, Secret: true}, {Use: Public}} {
			s, err := Read([]byte(data), r)
			if err != nil {
				t.Errorf("%s, %+v: %v", name, r, err)
			} else if diff := cmp.Diff(string(want.Canonical()), string(s.Canonical())); diff != "" || len(s.Notes()) > 0 {
				t.Errorf("%s, %+v: notes %q, keys %s", name, r, s.Notes(), diff)
			}
		}
		if s, err := Read([]byte(data), Reading{Use: Verify, Format: policy.FormatHMAC}); err == nil || !strings.Contains(err.Error(), "as format: HMAC says, want a secret") {
			t.Errorf("%s, said to be a secret: %v, error %v", name, s, err)
		}
		if s, err := Read([]byte(data), Reading{Use: Decrypt, Secret: true}); err == nil {
			t.Errorf("%s decrypts: %v", name, s.Keys())
		}
	}
	for name, c := range foreignTexts(t) {
		for _, r := range []Reading{{Use: Verify}, {Use: Verify, Secret: true}, {Use: Public}, {Use: Decrypt, Secret: true}} {
			if s, err := Read([]byte(c.text), r); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s, %+v: %v, error %v; want %q", name, r, s, err, c.says)
			}
		}
		if s, err := Read([]byte(c.text), Reading{Use: Verify, Format: policy.FormatHMAC}); err == nil {
			t.Errorf("%s, said to be a secret: %v", name, s)
		}
	}
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	k := keys()
	printable, binary := string(k.secret[:40]), strings.Repeat("\x00\xfe\x30\x82", 10)
	broken := "the secret ends in a line break, which is part of it; if that was not meant, write it with printf or echo -n"
	onlyHMAC, mixed, hmac := Reading{Use: Verify, Secret: true}, Reading{Use: Verify}, Reading{Use: Verify, Format: policy.FormatHMAC}
	tests := map[string]struct {
		data    string
		reading Reading
		err     string // "": the secret is every byte of it
		notes   []string
	}{
		"beside HMAC alone":              {printable, onlyHMAC, "", nil},
		"beside other algorithms":        {printable, mixed, "is neither a JWK Set nor PEM nor a certificate; it is an HMAC secret only if every algorithm of the issuer is HS256, HS384 or HS512, or with format: HMAC", nil},
		"said to be one":                 {printable, hmac, "", nil},
		"random bytes":                   {binary, onlyHMAC, "", nil},
		"random bytes like JSON":         {"{" + binary, onlyHMAC, "", nil},
		"text like JSON":                 {"{" + printable, onlyHMAC, "is not valid JSON at byte 1; if it is an HMAC secret, say so with format: HMAC", nil},
		"text like JSON, said to be one": {"{" + printable, hmac, "", nil},
		"JSON, said to be one":           {`{"pepper": "` + printable + `"}`, hmac, "", nil},
		"base64":                         {base64.StdEncoding.EncodeToString(k.secret), onlyHMAC, "", nil},
		"hex":                            {hex.EncodeToString(k.secret), onlyHMAC, "", nil},
		"with a line break":              {printable + "\n", onlyHMAC, "", []string{broken}},
		"with CRLF":                      {printable + "\r\n", hmac, "", []string{broken}},
		"with a mark":                    {"\ufeff" + printable, onlyHMAC, "", []string{"the secret begins with a byte order mark, which is part of it; if that was not meant, save it without"}},
		"too short, said to be one":      {"hunter2", hmac, "is neither a JWK Set nor PEM, and as an HMAC secret its 7 bytes are too few; want at least 32", nil},
		"too long":                       {strings.Repeat("s", MaxSecret+1), onlyHMAC, "has 65537 bytes; a raw secret has at most 65536", nil},
		"said to be a JWK Set":           {printable, Reading{Use: Verify, Format: policy.FormatJWKS, Secret: true}, `is no JWK Set: want JSON, {"keys": [...]}, and nothing around it`, nil},
		"said to be PEM":                 {printable, Reading{Use: Verify, Format: policy.FormatPEM, Secret: true}, "is neither a JWK Set nor PEM nor a certificate", nil},
		"a secret JWK said to be raw":    {jwks(public(k.secret)), hmac, "is a JWK Set; as format: HMAC says, want a secret, which no key or certificate is", nil},
		"a private key said to be raw":   {block("EC PRIVATE KEY", []byte{1}, nil), hmac, "has a PEM block; as format: HMAC says, want a secret, which no key or certificate is", nil},
		"a public place":                 {printable, Reading{Use: Public, Secret: true}, "is neither a JWK Set nor PEM nor a certificate", nil},
		"to decrypt":                     {printable[:32], Reading{Use: Decrypt, Secret: true}, "", nil},
		"to decrypt, with a line break":  {printable[:32] + "\n", Reading{Use: Decrypt, Secret: true}, "as a raw secret has 33 bytes; want 16, 24, 32, 48 or 64, as the algorithm has it; it ends in a line break, which counts", nil},
		"to decrypt, by a line break":    {printable[:31] + "\n", Reading{Use: Decrypt, Secret: true}, "", []string{broken}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := Read([]byte(tc.data), tc.reading)
			if tc.err != "" {
				if err == nil || err.Error() != tc.err {
					t.Errorf("got %v, error %v; want %q", s, err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got, _ := s.Keys()[0].Raw().([]byte); s.Len() != 1 || string(got) != tc.data {
				t.Errorf("the secret is not kept byte for byte: %d keys", s.Len())
			}
			if diff := cmp.Diff(tc.notes, s.Notes()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFormatsAreHeldTo(t *testing.T) {
	t.Parallel()
	set, block := jwks(public(keys().p256)), block("PUBLIC KEY", spki(t, &keys().p256.PublicKey), nil)
	tests := map[string]struct {
		format policy.KeyFormat
		data   string
		err    string
	}{
		"a JWK Set as one": {policy.FormatJWKS, set, ""},
		"PEM as PEM":       {policy.FormatPEM, "# corp\n" + block, ""},
		"Auto, written":    {policy.FormatAuto, block, ""},
		"PEM as a JWK Set": {policy.FormatJWKS, block, "is PEM; format JWKS wants a JWK Set"},
		"DER as a JWK Set": {policy.FormatJWKS, string(spki(t, &keys().p256.PublicKey)), "is no JWK Set: holds a public key or certificate with something around it; want PEM, or the DER alone"},
		"a JWK Set as PEM": {policy.FormatPEM, set, "is JSON; format PEM wants PEM blocks or a certificate"},
	}
	for name, tc := range tests {
		for _, use := range []Use{Verify, Public} {
			_, err := Read([]byte(tc.data), Reading{Use: use, Format: tc.format})
			if got := fmt.Sprint(err); tc.err == "" && err != nil || tc.err != "" && got != tc.err {
				t.Errorf("%s: got %v, want %q", name, err, tc.err)
			}
		}
	}
}

// TestWhatVerificationDoesNotNeedCostsNoKey has members that are odd beside a key that is not.
func TestWhatVerificationDoesNotNeedCostsNoKey(t *testing.T) {
	t.Parallel()
	k := keys()
	leaf := certificate(t, "leaf", &k.rsa.PublicKey, nil, k.rsa)
	other := certificate(t, "other", &k.rsa2.PublicKey, nil, k.rsa2)
	x5c := func(ders ...[]byte) object {
		var list []string
		for _, der := range ders {
			list = append(list, base64.StdEncoding.EncodeToString(der))
		}
		return object{"x5c": list}
	}
	// A serial number of -1: crypto/x509 does not parse the certificate.
	negative := bytes.Replace(leaf.Raw, []byte{0x02, 0x01, 0x01, 0x30}, []byte{0x02, 0x01, 0xff, 0x30}, 1)
	otherNegative := bytes.Replace(other.Raw, []byte{0x02, 0x01, 0x01, 0x30}, []byte{0x02, 0x01, 0xff, 0x30}, 1)
	if _, err := x509.ParseCertificate(negative); err == nil {
		t.Fatal("the odd certificate is not odd")
	}
	unread := "x5c holds no certificate that can be read; the key is used without it"
	tests := map[string]struct {
		members object
		note    string
		lost    string // why the key is left out
	}{
		"x5c with the key":              {x5c(leaf.Raw), "", ""},
		"x5c with a negative serial":    {x5c(negative), "", ""},
		"x5c with a public key":         {x5c(spki(t, &k.rsa.PublicKey)), "", ""},
		"x5c in base64url":              {object{"x5c": []string{base64.RawURLEncoding.EncodeToString(leaf.Raw)}}, "", ""},
		"x5c in lines":                  {object{"x5c": []string{"MII\n" + base64.StdEncoding.EncodeToString(leaf.Raw)[3:]}}, "", ""},
		"x5c as a string":               {object{"x5c": base64.StdEncoding.EncodeToString(leaf.Raw)}, "", ""},
		"x5c with garbage":              {x5c([]byte("garbage")), unread, ""},
		"x5c with no base64":            {object{"x5c": []string{"%%%"}}, unread, ""},
		"x5c with a number":             {object{"x5c": []int{1}}, unread, ""},
		"x5c an object":                 {object{"x5c": object{}}, unread, ""},
		"x5c empty":                     {object{"x5c": []string{}}, "", ""},
		"x5c with an empty string":      {object{"x5c": []string{""}}, unread, ""},
		"x5c null":                      {object{"x5c": nil}, "", ""},
		"x5c of another key":            {x5c(other.Raw), "", "x5c holds another key"},
		"x5c of another key, odd":       {x5c(otherNegative), "", "x5c holds another key"},
		"x5t and x5u":                   {object{"x5t": 7, "x5t#S256": "%%", "x5u": "http://nowhere.test/"}, "", ""},
		"private members that are null": {object{"d": nil, "p": nil, "q": nil, "dp": "", "dq": "", "qi": "", "oth": []any{}, "k": nil}, "", ""},
		"use null":                      {object{"use": nil}, "", ""},
		"use empty":                     {object{"use": ""}, "", ""},
		"use a list":                    {object{"use": []string{}}, "", ""},
		"use jwt-svid":                  {object{"use": "jwt-svid"}, "", ""},
		"use unknown":                   {object{"use": "signature"}, "its use is not known, and is taken for sig", ""},
		"use a number":                  {object{"use": 7}, "its use is not known, and is taken for sig", ""},
		"use x509-svid":                 {object{"use": "x509-svid"}, "", `its use is not "sig"`},
		"key_ops null":                  {object{"key_ops": nil}, "", ""},
		"key_ops empty":                 {object{"key_ops": []string{}}, "", ""},
		"key_ops twice":                 {object{"key_ops": []string{"verify", "verify"}}, "", ""},
		"key_ops with one unknown":      {object{"key_ops": []any{"stamp", 7, "verify"}}, "", ""},
		"alg null":                      {object{"alg": nil}, "", ""},
		"alg empty":                     {object{"alg": ""}, "", ""},
		"kid null":                      {object{"kid": nil}, "", ""},
		"members that nobody knows":     {object{"ext": true, "exp": 1, "status": object{"a": []any{nil}}}, "", ""},
		"zero octets before n and e":    {object{"n": b64(append([]byte{0, 0}, k.rsa.N.Bytes()...)), "e": "AAEAAQ"}, "", ""},
		"n with padding":                {object{"n": base64.URLEncoding.EncodeToString(k.rsa.N.Bytes()), "e": "AQAB="}, "", ""},
		"n in plain base64":             {object{"n": base64.StdEncoding.EncodeToString(k.rsa.N.Bytes())}, "", ""},
		"n in lines":                    {object{"n": b64(k.rsa.N.Bytes())[:64] + "\r\n " + b64(k.rsa.N.Bytes())[64:]}, "", ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := Parse([]byte(jwks(with(public(k.rsa), tc.members))), Public)
			if tc.lost != "" {
				if err == nil || !strings.HasSuffix(err.Error(), ": "+tc.lost) {
					t.Errorf("error %v; want %q", err, tc.lost)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !s.Keys()[0].Fits("RS256") || s.Keys()[0].Thumbprint == "" {
				t.Error("the key is of no use")
			}
			if notes := strings.Join(s.Notes(), "; "); tc.note == "" && notes != "" || !strings.HasSuffix(notes, tc.note) {
				t.Errorf("notes %q; want %q", notes, tc.note)
			}
		})
	}
}

// TestCoordinates holds that zero octets more or less make no difference, and that nothing else is forgiven.
func TestCoordinates(t *testing.T) {
	t.Parallel()
	k := keys()
	p521 := public(k.p521)
	x, _ := base64.RawURLEncoding.DecodeString(p521["x"].(string))
	y, _ := base64.RawURLEncoding.DecodeString(p521["y"].(string))
	d, _ := base64.RawURLEncoding.DecodeString(private(k.p521)["d"].(string))
	short := func(b []byte) string { return b64(bytes.TrimLeft(b, "\x00")) }
	long := func(b []byte) string { return b64(append([]byte{0, 0}, b...)) }
	tests := map[string]struct {
		use     Use
		members object
		ok      bool
	}{
		"short":            {Public, object{"x": short(x), "y": short(y)}, true},
		"long":             {Public, object{"x": long(x), "y": long(y)}, true},
		"a long d":         {Decrypt, object{"d": long(d)}, true},
		"a short d":        {Decrypt, object{"d": short(d)}, true},
		"off the curve":    {Public, object{"x": b64(x[1:64])}, false},
		"zero octets last": {Public, object{"x": b64(append(slices.Clone(x), 0))}, false},
		"nothing":          {Public, object{"x": ""}, false},
		"x and y zero":     {Public, object{"x": "AA", "y": "AA"}, false},
	}
	for name, tc := range tests {
		jwk := with(p521, tc.members)
		if tc.use == Decrypt {
			jwk = with(private(k.p521), tc.members)
		}
		s, err := Parse([]byte(jwks(jwk)), tc.use)
		if ok := err == nil && s.Keys()[0].Thumbprint == mustParse(t, jwks(p521)).Keys()[0].Thumbprint; ok != tc.ok {
			t.Errorf("%s: %v, error %v", name, s, err)
		}
	}
}

func mustParse(t testing.TB, data string) *Set {
	t.Helper()
	s, err := Parse([]byte(data), Verify)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTheFirstKeysOfManyAreKept(t *testing.T) {
	t.Parallel()
	var list []any
	var blocks strings.Builder
	for i := range MaxKeys + 7 {
		list = append(list, with(public(keys().p256), object{"kid": fmt.Sprintf("k%03d", i)}))
		blocks.WriteString(block("PUBLIC KEY", spki(t, &keys().p256.PublicKey), nil))
	}
	list = append([]any{object{"kty": "XYZ"}}, list...)
	s := mustParse(t, jwks(list...))
	if s.Len() != MaxKeys || s.Keys()[0].ID != "k000" || s.Keys()[MaxKeys-1].ID != "k499" {
		t.Errorf("%d keys are kept", s.Len())
	}
	want := []string{"has 508 keys; the first 500 are kept", "left out: keys[0]: has a kty that is none of RSA, EC, OKP, oct"}
	if diff := cmp.Diff(want, s.Notes()); diff != "" {
		t.Error(diff)
	}
	want = []string{"has more than 500 PEM blocks; the first 500 are kept"}
	if diff := cmp.Diff(want, mustParse(t, blocks.String()).Notes()); diff != "" {
		t.Error(diff)
	}
}

func TestServes(t *testing.T) {
	t.Parallel()
	k := keys()
	issuer := func(algs ...policy.Algorithm) *policy.Issuer { return &policy.Issuer{Algorithms: algs} }
	tests := map[string]struct {
		key    any
		issuer *policy.Issuer
		want   string
	}{
		"an asymmetric key, nothing listed":  {public(k.p256), issuer(), ""},
		"one of those listed":                {public(k.p256), issuer("RS256", "ES256"), ""},
		"a secret, nothing listed":           {public(k.secret[:32]), issuer(), "holds keys for HS256 alone, which work only when the issuer's algorithms list them"},
		"none of those listed":               {public(k.p256), issuer("RS256", "HS256"), "holds no key for the issuer's algorithms (RS256, HS256); its keys fit ES256"},
		"a secret too short for its hash":    {public(k.secret[:32]), issuer("HS512"), "holds no key for the issuer's algorithms (HS512); its keys fit HS256"},
		"Ed25519 by its older name":          {public(k.ed), issuer("EdDSA"), ""},
		"a public key where HMAC is allowed": {public(k.ed), issuer("HS256"), "holds no key for the issuer's algorithms (HS256); its keys fit Ed25519, EdDSA"},
	}
	for name, tc := range tests {
		err := Serves(mustParse(t, jwks(tc.key)).Algorithms(), tc.issuer)
		if got := fmt.Sprint(err); tc.want == "" && err != nil || tc.want != "" && got != tc.want {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
	}
}

// FuzzRead holds that nothing which another reader takes for public material becomes a secret.
func FuzzRead(f *testing.F) {
	for _, s := range publicTexts(f) {
		f.Add([]byte(s), uint8(0), true)
	}
	for _, c := range foreignTexts(f) {
		f.Add([]byte(c.text), uint8(3), true)
	}
	f.Add(keys().secret, uint8(3), false)
	formats := []policy.KeyFormat{policy.FormatAuto, policy.FormatJWKS, policy.FormatPEM, policy.FormatHMAC}
	f.Fuzz(func(t *testing.T, data []byte, format uint8, secret bool) {
		for _, use := range []Use{Verify, Public, Decrypt} {
			r := Reading{Use: use, Format: formats[int(format)%len(formats)], Secret: secret}
			s, err := Read(data, r)
			if err != nil {
				continue
			}
			again, err := Parse(s.Canonical(), use)
			if err != nil || !bytes.Equal(again.Canonical(), s.Canonical()) {
				t.Fatalf("the canonical form means something else: %v", err)
			}
			for _, k := range s.Keys() {
				raw, symmetric := k.Raw().([]byte)
				if symmetric && use == Public {
					t.Fatal("a secret out of a public place")
				}
				if symmetric && bytes.Equal(raw, data) && (others(data) || use == Verify && !secret && r.Format != policy.FormatHMAC) {
					t.Fatalf("public material is a secret")
				}
			}
		}
	})
}

// others reports whether the standard library finds public material.
func others(data []byte) bool {
	if b, _ := pem.Decode(data); b != nil {
		return true
	}
	decoded, err := base64.StdEncoding.DecodeString(string(data))
	for _, der := range [][]byte{data, decoded} {
		if _, keyErr := x509.ParsePKIXPublicKey(der); keyErr == nil && len(der) > 0 && (err == nil || len(der) == len(data)) {
			return true
		}
	}
	return false
}
