package v1alpha1

// The condition types of an AuthPolicy. All but Stalled have positive polarity. A TokenRevocation has Accepted, Programmed and Ready, a
// RevocationSource Accepted, ResolvedRefs, Connected, Programmed and Ready. Any may have Stalled.
const (
	// ConditionAccepted: the policy is valid. False reasons: Invalid.
	ConditionAccepted = "Accepted"
	// ConditionResolvedRefs: every key source has been read. False reasons: KeySourceFailed.
	ConditionResolvedRefs = "ResolvedRefs"
	// ConditionProgrammed: every sidecar that there is of the selected pods uses this generation. It says nothing of pods that
	// run without a sidecar; Guarded does. True reasons: Programmed, NoSidecars, NoWorkload. False reasons: Pending, Rejected,
	// Invalid. Unknown reasons: Disconnected. Of a RevocationSource: every sidecar of the namespace uses the entries that its status
	// counts; it has the reason NoRoom, too, if they are too many, and is Unknown with Pending until sidecars are known.
	ConditionProgrammed = "Programmed"
	// ConditionGuarded: every selected pod carries a sidecar, and none can be reached past it. True reasons: Guarded. False reasons:
	// Unguarded, Bypassable. Unknown reasons: NoWorkload.
	ConditionGuarded = "Guarded"
	// ConditionSaved: every sidecar has on disk what it uses, for a restart while the controller is away. False reasons: NotSaved. It
	// has no part in Ready.
	ConditionSaved = "Saved"
	// ConditionReady: Accepted, ResolvedRefs, Programmed and Guarded are True, but that a policy which selects no pod is ready too,
	// with reason NoWorkload. If it is not True, its status and reason are those of the first that is not. Of a TokenRevocation: Accepted and
	// Programmed are True. Of a RevocationSource: all its conditions are True, but that no event need have come yet.
	ConditionReady = "Ready"
	// ConditionStalled: nothing will come of waiting, since the object is not accepted or a sidecar refused it. It is there only while it is
	// True, with the reason of the condition that says why.
	ConditionStalled = "Stalled"
	// ConditionConnected: the provider reaches the controller, as far as that can be known. True reasons: EventReceived. False reasons:
	// NotConnected, NoRoom. Unknown reasons: NoEventYet.
	ConditionConnected = "Connected"
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
	// ReasonProgrammed: all sidecars are in touch with the controller and current.
	ReasonProgrammed = "Programmed"
	// ReasonNoSidecars: pods are selected, but none of them carries a sidecar, so there is none to wait for.
	ReasonNoSidecars = "NoSidecars"
	// ReasonNoWorkload: no live pod is selected.
	ReasonNoWorkload = "NoWorkload"
	// ReasonPending: some sidecars have not acknowledged yet, or are still starting.
	ReasonPending = "Pending"
	// ReasonRejected: a sidecar refused the policy; the message has its reason.
	ReasonRejected = "Rejected"
	// ReasonDisconnected: a sidecar is out of touch with the controller, so that it is not known what it uses.
	ReasonDisconnected = "Disconnected"
	// ReasonGuarded: all selected pods carry a sidecar.
	ReasonGuarded = "Guarded"
	// ReasonUnguarded: selected pods run without a sidecar, so that nothing guards them; the message names the first of them.
	ReasonUnguarded = "Unguarded"
	// ReasonBypassable: a port of the app, behind the sidecar, is open to others than the sidecar; the message names pod and port.
	ReasonBypassable = "Bypassable"
	// ReasonSaved: no sidecar says that it could not save what it uses.
	ReasonSaved = "Saved"
	// ReasonNotSaved: a sidecar could not save what it uses; the message names the first of them.
	ReasonNotSaved = "NotSaved"
	// ReasonReady: the conditions that Ready is made of are True.
	ReasonReady = "Ready"
	// ReasonReceiverDisabled: the controller runs without the port for events.
	ReasonReceiverDisabled = "ReceiverDisabled"
	// ReasonPathConflict: an older RevocationSource of the namespace has the path.
	ReasonPathConflict = "PathConflict"
	// ReasonEventReceived: an event, or an answer to a question of ours, has come.
	ReasonEventReceived = "EventReceived"
	// ReasonNoEventYet: no event has come yet, so it is not known whether one can.
	ReasonNoEventYet = "NoEventYet"
	// ReasonNotConnected: nothing can be had from the provider; the message says why.
	ReasonNotConnected = "NotConnected"
	// ReasonNoRoom: the namespace has no room for more entries, and events are refused until there is.
	ReasonNoRoom = "NoRoom"
)
