package policy

import (
	"fmt"
	"slices"
)

// SharedSignals is a stream of security event tokens (RFC 8417) of a transmitter. The stream is made at the transmitter; here is how its
// events come, and which of them take tokens back.
// +kubebuilder:validation:XValidation:rule="self.delivery != 'Poll' || has(self.transmitter)",message="delivery Poll needs transmitter: where events are fetched from"
// +kubebuilder:validation:XValidation:rule="self.delivery != 'Poll' || !has(self.path)",message="path goes with delivery Push only"
type SharedSignals struct {
	// Transmitter is the transmitter's name, a URL; its configuration is at the well-known place ssf-configuration (SSF 1.0 section 7.2). With
	// delivery Push and without it, the stream is not verified.
	// +optional
	// +kubebuilder:validation:Pattern=`^https?://[^\s]+$`
	// +kubebuilder:validation:MaxLength=2048
	Transmitter string `json:"transmitter,omitempty"`

	// Delivery is how events come. Push: the transmitter posts them to /events/NAMESPACE/PATH (RFC 8935). Poll: the controller fetches them
	// (RFC 8936).
	// +required
	Delivery Delivery `json:"delivery"`

	// Path is the last part of the endpoint's path with delivery Push: lower-case letters, digits, "-" and ".". Default: the object's
	// name. Of several objects of a namespace with one path, the oldest has it.
	// +optional
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$`
	// +kubebuilder:validation:MaxLength=253
	Path string `json:"path,omitempty"`

	// CredentialsSecretRef is a Secret with bearer tokens: the entry "received" is what the transmitter sends with each push, required with
	// delivery Push; the entry "token" is what the controller shows to the transmitter, required with delivery Poll and to verify the stream.
	// +required
	CredentialsSecretRef SecretName `json:"credentialsSecretRef"`

	// Events are those that take tokens back; others are acknowledged, and nothing is done. Default: session-revoked, credential-change,
	// account-disabled.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Events []SignalEvent `json:"events,omitempty"`

	// Subjects says what the identifiers of subjects (RFC 9493) are in access tokens.
	// +optional
	Subjects SignalSubjects `json:"subjects,omitempty"`
}

// SecretName names a Secret in the object's own namespace.
type SecretName struct {
	// Name of the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// Delivery is how events come.
// +kubebuilder:validation:Enum=Push;Poll
type Delivery string

// The deliveries.
const (
	Push Delivery = "Push"
	Poll Delivery = "Poll"
)

// SignalEvent is the name of an event, the last part of its URI: those of CAEP 1.0 section 3 and of RISC 1.0 section 2.
// +kubebuilder:validation:Enum=session-revoked;credential-change;token-claims-change;account-disabled;account-purged
type SignalEvent string

// The events. SessionRevoked takes back the session that its subject names or, if that names none, like all others, the tokens of the
// subject that were issued until then.
const (
	SessionRevoked    SignalEvent = "session-revoked"
	CredentialChange  SignalEvent = "credential-change"
	TokenClaimsChange SignalEvent = "token-claims-change"
	AccountDisabled   SignalEvent = "account-disabled"
	AccountPurged     SignalEvent = "account-purged"
)

// SignalSubjects says what identifiers of subjects are in access tokens. An identifier of format iss_sub whose issuer is the source's is
// "sub"; what is no claim of access tokens takes nothing back.
type SignalSubjects struct {
	// Opaque is what identifiers of format opaque are. Within a complex subject, that of its member session is always "sid". Subject:
	// "sub". Session: "sid". Ignore: nothing. Default Subject.
	// +optional
	Opaque SubjectClaim `json:"opaque,omitempty"`

	// Email is what identifiers of format email are, for issuers whose "sub" is the address. Default Ignore.
	// +optional
	Email SubjectClaim `json:"email,omitempty"`
}

// SubjectClaim is the claim that an identifier is compared with.
// +kubebuilder:validation:Enum=Subject;Session;Ignore
type SubjectClaim string

// The claims.
const (
	SubjectIsSub     SubjectClaim = "Subject"
	SubjectIsSession SubjectClaim = "Session"
	SubjectIgnored   SubjectClaim = "Ignore"
)

// Takes reports whether events of this name take tokens back.
func (s *SharedSignals) Takes(e SignalEvent) bool {
	if len(s.Events) == 0 {
		return e == SessionRevoked || e == CredentialChange || e == AccountDisabled
	}
	return slices.Contains(s.Events, e)
}

func (s *SharedSignals) validate(at string) error {
	switch {
	case s.Delivery != Push && s.Delivery != Poll:
		return fmt.Errorf("%s.delivery: want Push or Poll", at)
	case s.Delivery == Poll && s.Transmitter == "":
		return fmt.Errorf("%s.transmitter: is missing; with delivery Poll want where events are fetched from", at)
	case s.Transmitter != "" && !transmitterURL.MatchString(s.Transmitter) || len(s.Transmitter) > 2048:
		return fmt.Errorf("%s.transmitter: is no URL; want one such as https://idp.example.com, of at most 2048 bytes", at)
	case s.Delivery == Poll && s.Path != "":
		return fmt.Errorf("%s.path: goes with delivery Push only", at)
	case s.Path != "" && !lastPart.MatchString(s.Path):
		return fmt.Errorf("%s.path: want lower-case letters, digits, - and ., without a slash: the namespace goes before it", at)
	case s.CredentialsSecretRef.Name == "" || len(s.CredentialsSecretRef.Name) > 253:
		return fmt.Errorf("%s.credentialsSecretRef.name: has %d bytes; want a Secret with the entries received, token, or both", at, len(s.CredentialsSecretRef.Name))
	}
	if err := s.validateEvents(at); err != nil {
		return err
	}
	return s.Subjects.validate(at + ".subjects")
}

func (s *SharedSignals) validateEvents(at string) error {
	if s.Events != nil && len(s.Events) == 0 || len(s.Events) > 8 {
		return fmt.Errorf("%s.events: has %d; want 1 to 8, or the field left out", at, len(s.Events))
	}
	for i, e := range s.Events {
		if slices.Contains(s.Events[:i], e) {
			return fmt.Errorf("%s.events[%d]: is there twice; want different entries", at, i)
		}
		switch e {
		case SessionRevoked, CredentialChange, TokenClaimsChange, AccountDisabled, AccountPurged:
		default:
			return fmt.Errorf("%s.events[%d]: want one of session-revoked, credential-change, token-claims-change, account-disabled, account-purged", at, i)
		}
	}
	return nil
}

func (s SignalSubjects) validate(at string) error {
	for name, c := range map[string]SubjectClaim{"opaque": s.Opaque, "email": s.Email} {
		if c != "" && c != SubjectIsSub && c != SubjectIsSession && c != SubjectIgnored {
			return fmt.Errorf("%s.%s: want Subject, Session or Ignore", at, name)
		}
	}
	return nil
}
