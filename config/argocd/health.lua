-- What Argo CD makes of the status of an AuthPolicy, a TokenRevocation or a RevocationSource. docs/gitops.md says what each means.
hs = {status = "Progressing", message = "the controller has not seen this generation yet"}
if obj.status == nil or obj.status.conditions == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  return hs
end
local is = {}
for _, c in ipairs(obj.status.conditions) do
  is[c.type] = c
end
local ready = is.Ready
if ready == nil then
  return hs
end
hs.message = ready.reason .. ": " .. ready.message
if is.Stalled ~= nil and is.Stalled.status == "True" then
  hs.status = "Degraded"
elseif ready.status == "True" then
  hs.status = "Healthy"
  if obj.spec ~= nil and obj.spec.mode == "Audit" then
    hs.status = "Suspended"
    hs.message = "mode Audit: it refuses nothing, and tells what Enforce would do"
  end
elseif ready.status == "False" and ready.reason ~= "Pending" and ready.reason ~= "Unguarded" then
  -- Pending: sidecars are on their way to it. Unguarded: pods of before the sidecar was asked for run until their rollout is through.
  hs.status = "Degraded"
end
return hs
