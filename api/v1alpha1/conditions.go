package v1alpha1

// The condition types of an AuthPolicy. All have positive polarity.
const (
	// ConditionAccepted: the policy is valid. False reasons: Invalid.
	ConditionAccepted = "Accepted"
	// ConditionResolvedRefs: every key source has been read. False reasons: KeySourceFailed.
	ConditionResolvedRefs = "ResolvedRefs"
	// ConditionProgrammed: every connected sidecar that the policy selects has acknowledged this generation.
	// False reasons: Pending, Rejected, Invalid. True reasons: Programmed, NoSidecars.
	ConditionProgrammed = "Programmed"
	// ConditionReady: the three above are True. False reasons: those of the first that is not.
	ConditionReady = "Ready"
)

// The reasons of conditions.
const (
	// ReasonAccepted: the policy compiles.
	ReasonAccepted = "Accepted"
	// ReasonInvalid: the policy does not compile; the message names the field, the problem and what is expected.
	ReasonInvalid = "Invalid"
	// ReasonResolved: all key sources are read.
	ReasonResolved = "Resolved"
	// ReasonKeySourceFailed: a key source cannot be read; the message names the issuer and the cause.
	ReasonKeySourceFailed = "KeySourceFailed"
	// ReasonProgrammed: all connected sidecars are current.
	ReasonProgrammed = "Programmed"
	// ReasonNoSidecars: no connected sidecar is selected, so there is none to wait for.
	ReasonNoSidecars = "NoSidecars"
	// ReasonPending: some sidecars have not acknowledged yet.
	ReasonPending = "Pending"
	// ReasonRejected: a sidecar refused the policy; the message has its reason.
	ReasonRejected = "Rejected"
	// ReasonReady: Accepted, ResolvedRefs and Programmed are True.
	ReasonReady = "Ready"
)
