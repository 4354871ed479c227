package registration

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/go-logr/logr"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/yaml"

	"github.com/bearerguard/bearerguard/controllers/cell"
	"github.com/bearerguard/bearerguard/controllers/certs"
)

// Name is that of the controller's Deployment and, in the default release, of its ClusterRole.
const Name = "bearerguard-controller"

// How often a configuration has to be found missing before it is made again. One that this process has never seen may be
// about to be made by a first installation, which would fail over it.
const (
	patience      = 2
	firstPatience = 20
)

// Config is what is kept.
type Config struct {
	// File is a manifest of the webhook configurations; required. It is read each time that one is missing.
	File string
	// Namespace is the controller's; required.
	Namespace string
	// Cell names what is of the whole cluster. Default: the default release's names.
	Cell cell.Cell
	// CA returns the authority that the API server is to trust, PEM. nil: the manifest says whence it comes.
	CA func() []byte
	// Every is the time between two looks. Default 3s.
	Every time.Duration
	// Log defaults to none.
	Log logr.Logger
}

// Setup adds the keeper to mgr; it works on the replica that leads. The error names what is wrong with the manifest.
func Setup(mgr manager.Manager, c Config) error {
	if c.File == "" || c.Namespace == "" {
		return errors.New("registration: File and Namespace are required")
	}
	if c.Every == 0 {
		c.Every = 3 * time.Second
	}
	if _, err := read(c.File); err != nil {
		return err
	}
	return mgr.Add(newKeeper(c, mgr.GetAPIReader(), mgr.GetClient()))
}

// keeper keeps the configurations. It is not safe for concurrent use.
type keeper struct {
	config Config
	reader client.Reader // of the API server, not of a cache: the few objects are not worth a watch
	client client.Client

	names   []client.Object // what to look for
	seen    map[string]bool // by kind: whether it was ever there
	missing map[string]int  // by kind: how often in a row it was not
}

func newKeeper(c Config, reader client.Reader, writer client.Client) *keeper {
	meta := metav1.ObjectMeta{Name: c.Cell.Name(certs.WebhookConfiguration)}
	return &keeper{
		config: c, reader: reader, client: writer, seen: map[string]bool{}, missing: map[string]int{},
		names: []client.Object{&admissionv1.MutatingWebhookConfiguration{ObjectMeta: meta}, &admissionv1.ValidatingWebhookConfiguration{ObjectMeta: meta}},
	}
}

// Start looks until ctx is done.
func (k *keeper) Start(ctx context.Context) error {
	ticker := time.NewTicker(k.config.Every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			if err := k.look(ctx); err != nil && ctx.Err() == nil {
				k.config.Log.Error(err, "the webhook configurations cannot be kept")
			}
		}
	}
}

// look looks once for each configuration and makes those again that were missing for long enough.
func (k *keeper) look(ctx context.Context) error {
	var errs []error
	for _, o := range k.names {
		kind := kindOf(o)
		err := k.reader.Get(ctx, client.ObjectKeyFromObject(o), o.DeepCopyObject().(client.Object))
		switch {
		case err == nil:
			k.seen[kind], k.missing[kind] = true, 0
		case !apierrors.IsNotFound(err):
			errs = append(errs, err)
		default:
			k.missing[kind]++
			errs = append(errs, k.restore(ctx, kind))
		}
	}
	return errors.Join(errs...)
}

// restore makes a configuration again, if it is time and if the controller is to stay.
func (k *keeper) restore(ctx context.Context, kind string) error {
	if k.missing[kind] < patience || (!k.seen[kind] && k.missing[kind] < firstPatience) {
		return nil
	}
	owner, err := k.owner(ctx)
	if err != nil || owner == nil {
		return err
	}
	manifest, err := read(k.config.File)
	if err != nil {
		return err
	}
	o, ok := manifest[kind]
	if !ok {
		return nil
	}
	o.SetOwnerReferences([]metav1.OwnerReference{*owner})
	if k.config.CA != nil {
		trust(o, k.config.CA())
	}
	if err := k.client.Create(ctx, o); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("make the %s: %w", kind, err)
	}
	k.config.Log.Info("the webhook configuration was gone; made it again", "kind", kind)
	return nil
}

// owner returns a reference to the controller's ClusterRole; nil if the controller is being uninstalled.
func (k *keeper) owner(ctx context.Context) (*metav1.OwnerReference, error) {
	var d appsv1.Deployment
	err := k.reader.Get(ctx, client.ObjectKey{Namespace: k.config.Namespace, Name: Name}, &d)
	if apierrors.IsNotFound(err) || err == nil && d.DeletionTimestamp != nil {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for the controller's deployment: %w", err)
	}
	var role rbacv1.ClusterRole
	err = k.reader.Get(ctx, client.ObjectKey{Name: k.config.Cell.Name(Name)}, &role)
	if apierrors.IsNotFound(err) || err == nil && role.DeletionTimestamp != nil {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for the controller's cluster role: %w", err)
	}
	return &metav1.OwnerReference{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "ClusterRole", Name: role.Name, UID: role.UID}, nil
}

// trust sets the authority in every webhook of a configuration.
func trust(o client.Object, ca []byte) {
	switch c := o.(type) {
	case *admissionv1.MutatingWebhookConfiguration:
		for i := range c.Webhooks {
			c.Webhooks[i].ClientConfig.CABundle = ca
		}
	case *admissionv1.ValidatingWebhookConfiguration:
		for i := range c.Webhooks {
			c.Webhooks[i].ClientConfig.CABundle = ca
		}
	}
}

// read returns the configurations of a manifest by kind.
func read(file string) (map[string]client.Object, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the webhook configurations: %w", err)
	}
	out := map[string]client.Object{}
	for doc := range strings.SplitSeq("\n"+string(text), "\n---\n") {
		var head metav1.TypeMeta
		if err := yaml.Unmarshal([]byte(doc), &head); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		var o client.Object
		switch head.Kind {
		case "":
			continue
		case "MutatingWebhookConfiguration":
			o = &admissionv1.MutatingWebhookConfiguration{}
		case "ValidatingWebhookConfiguration":
			o = &admissionv1.ValidatingWebhookConfiguration{}
		default:
			return nil, fmt.Errorf("%s: kind %q; want MutatingWebhookConfiguration or ValidatingWebhookConfiguration", file, head.Kind)
		}
		if err := yaml.UnmarshalStrict([]byte(doc), o); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		out[head.Kind] = o
	}
	return out, nil
}

func kindOf(o client.Object) string {
	if _, ok := o.(*admissionv1.MutatingWebhookConfiguration); ok {
		return "MutatingWebhookConfiguration"
	}
	return "ValidatingWebhookConfiguration"
}
