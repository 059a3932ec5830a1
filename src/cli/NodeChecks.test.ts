import { Effect } from "effect"
import { describe, expect, it } from "vitest"
import type { MemberStatus } from "../admin/MemberModel.ts"
import type { AnnouncedAddress, NodeStatus } from "../admin/NodeModel.ts"
import { makeNodeConfig } from "../config/NodeConfig.ts"
import { sampleMembers, sampleNow, sampleServices, sampleStatus } from "../testing/SampleSource.ts"
import { type Check, failures, renderChecks } from "./Check.ts"
import { exposureChecks, requireRuntime, runtimeCheck } from "./HostChecks.ts"
import { meshChecks } from "./MeshChecks.ts"
import { nodeChecks, telemetryChecks } from "./NodeChecks.ts"
import { policyChecks, serviceChecks } from "./ServiceChecks.ts"

const find = (checks: ReadonlyArray<Check>, name: string): Check => {
  const check = checks.find((one) => one.name === name)
  if (check === undefined) throw new Error(`no check ${name}`)
  return check
}

const roomy = { limit: 65_536, open: 40, sockets: 60_864, socketsOpen: 12, problem: null }
const node = (change: Partial<NodeStatus>) => nodeChecks({ ...sampleStatus, ...change })
const certificate = (change: Partial<NodeStatus["certificate"]>) =>
  find(node({ certificate: { ...sampleStatus.certificate, ...change } }), "certificate")

const admits = (change: Partial<NonNullable<NodeStatus["certificate"]["admits"]>>) => {
  const { certificate } = sampleStatus
  if (certificate.admits === null) throw new Error("the sample may admit")
  const admits = { ...certificate.admits, ...change }
  return find(node({ certificate: { ...certificate, admits } }), "right to admit")
}

const address = (change: Partial<AnnouncedAddress>): AnnouncedAddress => ({
  address: "/ip4/192.0.2.1/tcp/4001",
  configured: true,
  state: "unreached",
  checkedAt: sampleNow - 120_000,
  by: ["host-b", "host-c"],
  ...change
})
const announced = (...changes: ReadonlyArray<Partial<AnnouncedAddress>>) =>
  find(node({ announced: changes.map(address) }), "announced")

const [self, other] = sampleMembers
if (self === undefined || other === undefined) throw new Error("the sample has two members")
const payments = sampleServices.find(({ name }) => name === "payments")
if (payments === undefined) throw new Error("the sample has payments")
const finding: NodeStatus["findings"][number] = {
  kind: "protocol_conflict",
  service: payments.name,
  nodes: [other.node],
  message: "payments is http on host-a, but tcp on host-b: calls use http, and host-b gets none",
  hint: "Set protocol of payments in the config of host-b to http."
}
const mesh = (change: Partial<MemberStatus>) =>
  meshChecks(sampleStatus, [self, { ...other, ...change }])

const refused = {
  node: "host-b",
  peer: other.peer,
  what: "record",
  count: 3,
  sinceAt: sampleNow - 60_000,
  lastAt: sampleNow,
  detail: "it is ahead"
} as const
const clocks = (own: Partial<NodeStatus["clock"]>, change: Partial<MemberStatus>) => {
  const status = { ...sampleStatus, clock: { ...sampleStatus.clock, ...own } }
  return find(meshChecks(status, [self, { ...other, ...change }]), "clocks")
}

describe("the checks of skein doctor", () => {
  it("what is open to other hosts is named, and no failure: the config says that it is meant", () => {
    const config = makeNodeConfig({
      admin: { listen: "0.0.0.0:4191", allowRemote: true },
      outbound: { http: "127.0.0.1:4140" },
      upstreams: [{ service: "db", listen: "[::]:5433", allowRemote: true }]
    })
    const said = (address: string) =>
      `${address} can be reached from other hosts, as allowRemote says`
    expect(exposureChecks(config)).toMatchObject([
      { name: "admin", state: "ok", detail: said("0.0.0.0:4191") },
      { name: "upstream db", state: "ok", detail: said("[::]:5433") }
    ])
    expect(exposureChecks(makeNodeConfig({}))).toEqual([])
  })

  it("policies that reach nobody, or nobody who heeds them, are warned of", () => {
    const config = makeNodeConfig({
      policies: { payment: {}, "ledger-db": { timeout: { request: "1s" } }, payments: {} }
    })
    expect(
      policyChecks(config, sampleServices).map(({ state, detail }) => [state, detail])
    ).toEqual([
      ["warn", "policies.payment: no node of the mesh offers payment; did you mean payments?"],
      [
        "warn",
        "policies.ledger-db: timeout.request: for HTTP only, and the mesh offers ledger-db as tcp; leave it out"
      ]
    ])
    expect(policyChecks(makeNodeConfig({}), sampleServices)).toEqual([])
    const right = policyChecks(makeNodeConfig({ policies: { payments: {} } }), sampleServices)
    expect(right).toMatchObject([{ state: "ok", detail: "each of 1 is for a service of the mesh" }])
  })

  it("a healthy node has nothing but √", () => {
    const all = [...nodeChecks(sampleStatus), ...meshChecks(sampleStatus, sampleMembers)]
    expect(all.filter(({ state }) => state !== "ok")).toEqual([])
  })

  it.each<readonly [string, Check["state"], Check, RegExp]>([
    ["expired", "fail", certificate({ expiresAt: sampleNow - 60_000 }), /expired 1m ago/],
    ["nobody could renew", "warn", certificate({ renewers: 0 }), /nobody at hand could renew it/],
    ["renewal failed", "warn", certificate({ renewalError: "nobody" }), /failed: nobody/],
    ["renewal late", "warn", certificate({ renewAt: sampleNow - 7_200_000 }), /late by 2h/],
    ["right to admit ended", "fail", admits({ untilAt: sampleNow - 60_000 }), /ended 1m ago/],
    ["right to admit late", "warn", admits({ untilAt: sampleNow + 86_400_000 }), /ends in 1d/],
    ["far from the root", "warn", admits({ depth: 25 }), /25 delegations from the root, and 32/],
    [
      "announced in vain",
      "fail",
      announced({}),
      /^no member reaches this node: \/ip4\/192\.0\.2\.1\/tcp\/4001 \(not reached by host-b, host-c, 2m ago\)$/
    ],
    [
      "one of two announced in vain",
      "warn",
      announced({ state: "reached", by: ["host-b"] }, { address: "/dns4/a.example/tcp/1" }),
      /^no member reaches this node at \/dns4\/a\.example\/tcp\/1 \(not reached by host-b, host-c, 2m ago\)$/
    ],
    [
      "nobody gets to a host's own addresses",
      "warn",
      announced({ configured: false }),
      /^no member reaches this node: /
    ],
    ["draining", "warn", find(node({ state: "draining" }), "serving"), /is draining/],
    [
      "not ready",
      "fail",
      find(node({ readiness: [{ name: "mesh", ready: false, detail: "alone" }] }), "ready"),
      /mesh: alone/
    ],
    [
      "actor failed",
      "fail",
      find(
        node({
          actors: [
            { name: "x", state: "failed", restarts: 9, mailbox: 0, dropped: 0, lastError: "boom" }
          ]
        }),
        "actor x"
      ),
      /failed, 9 restarts, last error: boom/
    ],
    ["slow loop", "warn", find(node({ loopDelayMs: 250 }), "event loop"), /250ms late/],
    ["a dead member", "warn", find(mesh({ state: "dead" }), "members"), /host-b is dead/],
    ["no link", "warn", find(mesh({ link: "connecting" }), "links"), /none open to host-b/],
    [
      "stale records",
      "warn",
      find(mesh({ record: { ...other.record!, sync: "stale" } }), "catalogue"),
      /host-b: stale/
    ],
    [
      "a clock ahead",
      "warn",
      find(mesh({ clockAheadMs: 65_000 }), "clocks"),
      /^host-b is 1m5s ahead$/
    ],
    [
      "a clock ahead, as a signature tells",
      "warn",
      clocks(
        {},
        { clockAheadMs: null, record: { ...other.record!, signedAt: sampleNow + 65_000 } }
      ),
      /^host-b is 1m5s ahead$/
    ],
    [
      "a clock behind by more than certificates put up with",
      "fail",
      clocks({}, { clockAheadMs: -7_200_000 }),
      /^host-b is 2h behind$/
    ],
    [
      "a record refused",
      "fail",
      clocks({ refused: [refused] }, { clockAheadMs: 1_799_998 }),
      /^host-b is 30m ahead; refused because of time: record of host-b$/
    ],
    [
      "a certificate refused of whom no clock is known",
      "fail",
      clocks({ refused: [{ ...refused, what: "certificate" }] }, { clockAheadMs: null }),
      /^refused because of time: certificate of host-b$/
    ],
    [
      "the own clock",
      "fail",
      clocks({ aheadMs: 1_800_000, measured: 3, agreeing: 3 }, { clockAheadMs: -1_800_000 }),
      /^this host's is 30m ahead, say 3 of 3 members$/
    ],
    [
      "the own clock, by little",
      "warn",
      clocks({ aheadMs: -6_000, measured: 3, agreeing: 2 }, { clockAheadMs: 6_000 }),
      /^this host's is 6s behind, say 2 of 3 members$/
    ],
    [
      "an unhealthy service",
      "fail",
      find(serviceChecks(sampleServices), "ledger-db"),
      /none of 1 endpoint is healthy/
    ],
    [
      "nodes that contradict each other",
      "fail",
      find(meshChecks({ ...sampleStatus, findings: [finding] }, sampleMembers), "protocols"),
      /^payments is http on host-a, but tcp on host-b/
    ],
    [
      "one name twice",
      "warn",
      find(
        meshChecks({ ...sampleStatus, findings: [{ ...finding, kind: "name_not_unique" }] }, []),
        "names"
      ),
      /^payments/
    ],
    [
      "a service whose circuits are open",
      "fail",
      find(
        serviceChecks([{ ...payments, endpoints: { total: 2, healthy: 2, inUse: 0 } }]),
        "payments"
      ),
      /2 of 2 endpoints are healthy, but calls from this node have failed/
    ],
    [
      "a service in a panic",
      "warn",
      find(serviceChecks([{ ...payments, panic: true }]), "payments"),
      /^panic: so many of 2 endpoints/
    ],
    [
      "a collector that is down",
      "warn",
      find(
        telemetryChecks({
          ...sampleStatus,
          telemetry: { collector: "http://c", reachable: false, dropped: 4, lastError: "refused" }
        }),
        "traces"
      ),
      /http:\/\/c does not take them: refused \(4 dropped\)/
    ],
    [
      "a low limit of open files",
      "warn",
      find(
        node({ descriptors: { ...roomy, limit: 64, sockets: 26, problem: "low" } }),
        "open files"
      ),
      /40 of 64 in use, 12 of 26 .*the limit is low/
    ],
    [
      "a limit of open files that is nearly reached",
      "warn",
      find(node({ descriptors: { ...roomy, socketsOpen: 60_000 } }), "open files"),
      /60000 of 60864 .*wait or get overflow/
    ],
    [
      "a data directory that cannot be written",
      "warn",
      find(node({ dataDirProblem: "catalogue.bin cannot be written (ENOSPC)" }), "storage"),
      /ENOSPC/
    ],
    ["an old Node", "fail", runtimeCheck({ ...process.versions, node: "20.1.0" }), /Node 20/]
  ])("%s is %s, with a hint", (_, state, check, detail) => {
    expect(check.state).toBe(state)
    expect(check.detail).toMatch(detail)
    expect(check.hint).not.toBeNull()
  })

  it("a system that does not tell its limit is not asked about it", () => {
    const unknown = { ...roomy, limit: null, sockets: null }
    expect(node({ descriptors: unknown }).some(({ name }) => name === "open files")).toBe(false)
  })

  it("an old Node runs no node, and says why", () => {
    const old = Effect.runSync(Effect.flip(requireRuntime({ ...process.versions, node: "20.1.0" })))
    expect(old.message).toMatch(/^this is Node 20\.1\.0\. Skein needs Node 22 or newer\./)
    Effect.runSync(requireRuntime(process.versions))
  })

  it("a right to admit by the root key does not end, and a host without one has no such check", () => {
    expect(admits({ depth: 0, untilAt: null }).detail).toBe("by the root key")
    expect(admits({}).detail).toBe("for 200d, 2 delegations from the root")
    const none = node({ certificate: { ...sampleStatus.certificate, admits: null } })
    expect(none.map(({ name }) => name)).not.toContain("right to admit")
  })

  it("what is announced is good when it is reached, and while nobody can say", () => {
    const reached = { state: "reached", by: ["host-b"], configured: false } as const
    const bridge = { address: "/ip4/172.17.0.1/tcp/4001", configured: false }
    expect(announced(reached, bridge)).toMatchObject({
      state: "ok",
      detail: "/ip4/192.0.2.1/tcp/4001 (reached by host-b, 2m ago)"
    })
    const untried = { state: "untried", checkedAt: null, by: [] } as const
    expect(announced(untried)).toMatchObject({
      state: "ok",
      detail: "no member has said yet whether it reaches /ip4/192.0.2.1/tcp/4001"
    })
    expect(announced({ state: "untried" })).toMatchObject({ state: "ok" })
    expect(announced(untried, {})).toMatchObject({ state: "warn" })
    expect(announced()).toMatchObject({ state: "ok" })
  })

  it("a link that drains is no trouble: its node has said so", () => {
    expect(find(mesh({ link: "draining" }), "links").state).toBe("ok")
    expect(find(mesh({ link: "draining", draining: true }), "links").detail).toBe("none needed")
  })

  it("a member that has left is nobody's trouble", () => {
    expect(mesh({ state: "left", link: "closed" }).every(({ state }) => state === "ok")).toBe(true)
  })

  it("prints groups, signs and hints, and counts the failures", () => {
    const groups = [{ name: "services", checks: serviceChecks(sampleServices) }]
    expect(failures(groups)).toBe(1)
    expect(renderChecks(groups, false)).toBe(
      [
        "services",
        "× ledger-db: none of 1 endpoint is healthy",
        "    Calls get no_healthy_endpoint. Are the programs running on host-b, and is none of these nodes draining? See `skein endpoints ledger-db`.",
        "√ payments: 2 healthy endpoints on host-a, host-b",
        "",
        "1 failure: see × above.",
        ""
      ].join("\n")
    )
  })
})
