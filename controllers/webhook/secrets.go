package webhook

import (
	"context"
	"fmt"
	"time"

	"github.com/bearerguard/bearerguard/api/policy"
)

// One review asks about this many Secrets at most, and not for longer than this: it is a warning, nothing else.
const (
	maxSecrets    = 8
	secretsWithin = time.Second
)

// named is a Secret and the field that names it.
type named struct{ field, secret string }

// secretsOf returns the Secrets that an issuer names, under a field.
func secretsOf(at string, i policy.Issuer) (out []named) {
	if r := i.Keys.SecretRef; r != nil {
		out = append(out, named{at + ".keys.secretRef", r.Name})
	}
	if r := i.CASecretRef; r != nil {
		out = append(out, named{at + ".caSecretRef", r.Name})
	}
	if d := i.Decryption; d != nil {
		out = append(out, named{at + ".decryption.secretRef", d.SecretRef.Name})
	}
	if in := i.Introspection; in != nil {
		out = append(out, named{at + ".introspection.credentialsSecretRef", in.CredentialsSecretRef.Name})
	}
	if p := i.Proof; p != nil && p.NonceSecretRef != nil {
		out = append(out, named{at + ".proof.nonceSecretRef", p.NonceSecretRef.Name})
	}
	return out
}

// closedTo warns of Secrets that the controller may not read: nothing would come of them until its roles are others. Whether there are such
// Secrets is not asked, so whoever writes a policy learns of none.
func closedTo(ctx context.Context, may func(ctx context.Context, namespace, secret string) (bool, error), namespace string, all []named) (out []string) {
	if may == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, secretsWithin)
	defer cancel()
	asked := map[string]bool{}
	for _, n := range all {
		if asked[n.secret] || len(asked) == maxSecrets {
			continue
		}
		asked[n.secret] = true
		if ok, err := may(ctx, namespace, n.secret); err == nil && !ok {
			out = append(out, fmt.Sprintf("%s: the controller may not read Secret %s in namespace %s: its roles do not grant it (rbac.secrets of the chart)", n.field, n.secret, namespace))
		}
	}
	return out
}
