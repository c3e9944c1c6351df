-- SPDX-License-Identifier: Apache-2.0
--
-- examples/kubernetes: what can be known without a cluster. The YAML parses, the script in it
-- loads and answers the probes, and names point at what is there.
local gateway = require "spec.gateway"
local tool = require "spec.tool"

local PATH = "examples/kubernetes/tidegate.yaml"

describe("examples/kubernetes", function()
  local found, lyaml, pod, container = {}, nil, nil, nil

  setup(function()
    local ok
    ok, lyaml = pcall(require, "lyaml")
    if not ok then return end
    for _, one in ipairs(lyaml.load(tool.read(PATH), { all = true })) do
      assert(one.apiVersion and one.metadata.name == "tidegate", one.kind)
      assert.is_nil(found[one.kind], "one of each kind")
      found[one.kind] = one
    end
    pod = found.Deployment.spec.template
    container = pod.spec.containers[1]
  end)

  local function parsed()
    if not container then pending "lua-yaml is not installed" end
  end

  it("has all that a registry needs", function()
    parsed()
    for _, kind in ipairs { "ConfigMap", "PersistentVolumeClaim", "Deployment", "Service",
      "PodDisruptionBudget", "NetworkPolicy" } do
      assert.truthy(found[kind], kind)
    end
  end)

  it("points at what is there", function()
    parsed()
    local labels = pod.metadata.labels
    assert.same(labels, found.Deployment.spec.selector.matchLabels)
    assert.same(labels, found.Service.spec.selector)
    assert.same(labels, found.PodDisruptionBudget.spec.selector.matchLabels)
    assert.same(labels, found.NetworkPolicy.spec.podSelector.matchLabels)
    local ports = {}
    for _, port in ipairs(container.ports) do ports[port.name] = port.containerPort end
    assert.truthy(ports[found.Service.spec.ports[1].targetPort])
    assert.truthy(ports[found.NetworkPolicy.spec.ingress[1].ports[1].port])
    local volumes = {}
    for _, volume in ipairs(pod.spec.volumes) do volumes[volume.name] = volume end
    for _, mount in ipairs(container.volumeMounts) do assert.truthy(volumes[mount.name]) end
    assert.equal("tidegate", volumes.script.configMap.name)
    assert.equal("tidegate", volumes.data.persistentVolumeClaim.claimName)
  end)

  it("has a script that answers its probes", function()
    parsed()
    local g = gateway.start { script = found.ConfigMap.data["registry.lua"] }
    for _, probe in ipairs { "startupProbe", "livenessProbe", "readinessProbe" } do
      local get = container[probe].httpGet
      assert.equal("http", get.port)
      assert.equal(200, g:request("GET", get.path).status, probe)
    end
    local scrape = pod.metadata.annotations
    assert.equal("5000", scrape["prometheus.io/port"])
    assert.equal(200, g:request("GET", scrape["prometheus.io/path"]).status)
    local drain = table.concat(container.lifecycle.preStop.exec.command, " ")
    assert.truthy(drain:find "^/usr/bin/tidegate drain ", drain)
    g:stop()
  end)

  it("gives the container no rights, and writes only where it may", function()
    parsed()
    local own, all = container.securityContext, pod.spec.securityContext
    assert.is_true(own.readOnlyRootFilesystem)
    assert.is_false(own.allowPrivilegeEscalation)
    assert.same({ "ALL" }, own.capabilities.drop)
    assert.is_true(all.runAsNonRoot)
    assert.equal(10001, all.runAsUser) -- as in .ci/image.lua
    local writable = {}
    for _, mount in ipairs(container.volumeMounts) do
      if not mount.readOnly then writable[mount.mountPath] = true end
    end
    for _, variable in ipairs(container.env) do
      if variable.value:sub(1, 1) == "/" then assert.is_true(writable[variable.value]) end
    end
  end)
end)
