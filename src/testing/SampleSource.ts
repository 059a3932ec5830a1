/**
 * A made-up node, for tests of whatever shows nodes: the admin server, the commands, a dashboard.
 * Every field has a value that can be told from its neighbours; parts are replaced by `overrides`.
 */
import { Effect, Schema } from "effect"
import { ActorsStatus } from "../admin/ActorsModel.ts"
import { AdminConflict, AdminNotFound } from "../admin/AdminError.ts"
import type { AccessSource, AdminSource } from "../admin/AdminSource.ts"
import { LinkStatus, MemberStatus } from "../admin/MemberModel.ts"
import { NodeStatus } from "../admin/NodeModel.ts"
import { PeerStatus } from "../admin/PeerModel.ts"
import { EndpointStatus, ServiceStatus } from "../admin/ServiceModel.ts"
import { SettingHistory, SettingStatus } from "../admin/SettingsModel.ts"
import { NodeName, PeerKey, ServiceName } from "../model/Names.ts"
import { RootId } from "../schema/TrustSchema.ts"

const sampleRoot = (at: number) => {
  const id = RootId.make(String(at).repeat(32))
  return at === 0
    ? { id, by: null, addedAt: null }
    : { id, by: RootId.make("0".repeat(32)), addedAt: 1_800_000_000_000 }
}

const peers = {
  a: "12D3KooWAaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
  b: "12D3KooWBbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
  c: "12D3KooWCccccccccccccccccccccccccccccccccccccccccccc"
}

/** The sample's wall clock: 2026-01-02T03:04:05Z. */
export const sampleNow = 1_767_323_045_000

const hours = (count: number) => count * 3_600_000

export const sampleStatus: NodeStatus = Schema.decodeSync(NodeStatus)({
  node: "host-a",
  peer: peers.a,
  mesh: { id: "00112233445566778899aabbccddeeff", name: "shop" },
  version: "0.1.0",
  zone: "eu-west/1a",
  state: "serving",
  startedAt: sampleNow - hours(26),
  uptimeMs: hours(26),
  nowAt: sampleNow,
  addresses: ["/ip4/192.0.2.1/tcp/4001"],
  listening: ["/ip4/0.0.0.0/tcp/4001"],
  announced: [
    {
      ...{ address: "/ip4/192.0.2.1/tcp/4001", configured: true, state: "reached" },
      ...{ checkedAt: sampleNow - 120_000, by: ["host-b"] }
    }
  ],
  proxy: "127.0.0.1:4140",
  callers: [
    {
      ...{ address: "127.0.0.1:4141", as: "orders", granted: true },
      id: `spiffe://${"0f".repeat(16)}/service/orders`
    },
    {
      ...{ address: "unix:/run/skein/web.sock", as: null, granted: true },
      id: `spiffe://${"0f".repeat(16)}/host/host-a`
    },
    {
      ...{ address: "unix:/run/skein/programs.sock", as: "orders", granted: true },
      id: `spiffe://${"0f".repeat(16)}/service/orders`
    }
  ],
  attach: ["unix:/run/skein/programs.sock"],
  programs: [
    {
      ...{ name: "shop.ts", pid: 4_711, software: "0.1.0", sinceAt: sampleNow - 60_000 },
      ...{ address: "unix:/run/skein/web.sock", as: "host/host-a" },
      serves: [{ service: ServiceName.make("payments"), healthy: true, reason: "it is served" }]
    }
  ],
  configPath: null,
  dataDir: "/var/lib/skein",
  dataDirProblem: null,
  certificate: {
    expiresAt: sampleNow + hours(20),
    renewAt: sampleNow + hours(8),
    renewalError: null,
    services: ["*"],
    capabilities: ["admit"],
    admits: { depth: 2, maxDepth: 32, untilAt: sampleNow + hours(24 * 200) }
  },
  clock: { aheadMs: 3, measured: 1, agreeing: 1, refused: [] },
  readiness: [
    { name: "identity", ready: true, detail: "certificate valid" },
    { name: "listeners", ready: true, detail: "2 open" }
  ],
  findings: [],
  actors: [
    { name: "membership", state: "running", restarts: 0, mailbox: 0, dropped: 0, lastError: null },
    { name: "catalogue", state: "running", restarts: 1, mailbox: 2, dropped: 0, lastError: "boom" }
  ],
  threads: [
    {
      ...{ index: 0, state: "running", restarts: 0, sinceAt: sampleNow - hours(26) },
      ...{ lastError: null, loopDelayMs: 0.8 }
    },
    {
      ...{ index: 1, state: "running", restarts: 2, sinceAt: sampleNow - hours(5) },
      ...{ lastError: "boom", loopDelayMs: 1.1 }
    }
  ],
  telemetry: { collector: null, reachable: null, dropped: 0, lastError: null },
  counts: { members: 2, services: 2, endpoints: 2, links: 1, inFlight: 0 },
  memory: { rss: 104_857_600, heapUsed: 31_457_280, heapTotal: 52_428_800, external: 1_048_576 },
  descriptors: { limit: 65_536, open: 40, sockets: 60_864, socketsOpen: 12, problem: null },
  loopDelayMs: 1.5
})

const record = {
  epoch: 1,
  version: 7,
  signedAt: sampleNow - 5_000,
  sync: "synced",
  checkedMs: 4_000
} as const

export const sampleMembers: ReadonlyArray<MemberStatus> = Schema.decodeSync(
  Schema.Array(MemberStatus)
)([
  {
    ...{ node: "host-a", peer: peers.a, self: true, state: "alive", incarnation: 1 },
    ...{ zone: "eu-west/1a", addresses: ["/ip4/192.0.2.1/tcp/4001"], software: "0.1.0" },
    ...{ sinceAt: sampleNow - hours(26), link: null, rttMs: null, record }
  },
  {
    ...{ node: "host-b", peer: peers.b, self: false, state: "alive", incarnation: 3 },
    ...{ zone: null, addresses: ["/ip4/192.0.2.2/tcp/4001"], software: "0.1.0" },
    ...{ sinceAt: sampleNow - 90_000, link: "open", rttMs: 0.42, clockAheadMs: -3, record }
  }
])

export const samplePeers: ReadonlyArray<PeerStatus> = Schema.decodeSync(Schema.Array(PeerStatus))([
  {
    ...{ node: "host-a", peer: peers.a, self: true, sync: "synced", detail: null },
    ...{ state: "alive", draining: false, connected: false, load: "ok", lateMs: 2, doubt: 0 },
    ...{ waiting: 0, software: "0.1.0", newer: null, comparedMs: null, equalMs: null },
    ...{ rttMs: null, answerMs: null },
    record: { epoch: 1, version: 7, signedAt: sampleNow - 5_000 }
  },
  {
    ...{ node: "host-b", peer: peers.b, self: false, sync: "stale" },
    detail: "3 of 256 parts of the catalogues differ, and neither side changes them",
    ...{ state: "alive", draining: false, connected: true, load: "late", lateMs: 800, doubt: 2 },
    ...{ waiting: 1, software: "0.1.0", comparedMs: 40, equalMs: 95_000 },
    ...{ rttMs: 0.42, answerMs: 12.5, newer: { epoch: 1, version: 9 } },
    record: { epoch: 1, version: 7, signedAt: sampleNow - 5_000 }
  },
  {
    ...{ node: "host-c", peer: peers.c, self: false, sync: "unknown" },
    detail: "not asked: this node has no connection to it (--all asks it)",
    ...{ state: "alive", draining: false, connected: false, load: null, lateMs: null, doubt: null },
    ...{ waiting: null, software: "0.1.0", newer: null, comparedMs: null, equalMs: null },
    ...{ rttMs: null, answerMs: null, record: null }
  }
])

const sampleCart = {
  ...{ id: "user-42", shard: 17, phase: "ready", waiting: 2, running: 1, handled: 64 },
  ...{ since: sampleNow - 90_000, usedAt: sampleNow - 1_000, kept: false, version: 63 },
  lastError: null
}

const cartNumbers = {
  messages: {
    ...{ ok: 900, failed: 20, died: 1, cancelled: 3, mailboxFull: 2, moved: 7, unavailable: 1 }
  },
  ...{ waiting: 2, longest: 2, rps: 12.5, errors: 4, crashes: 1, p50Ms: 0.4, p99Ms: 7.5 },
  saves: { ok: 800, failed: 1, fenced: 0 },
  ...{ lost: 3, given: { ok: 5, failed: 1 } }
}

const cartError = { text: "the actor Cart/user-9 has crashed: a bug", at: sampleNow - 120_000 }

/** Carts on two hosts, as a node shows them; a third does not answer. */
export const sampleActors: ActorsStatus = Schema.decodeSync(ActorsStatus)({
  types: [
    {
      ...{ type: "Cart", service: "actor-cart", shards: 256, activations: 5, ...cartNumbers },
      lastError: { ...cartError, node: "host-b" },
      hosts: [
        {
          ...{ node: "host-a", program: null, endpoint: "program", guarantee: "leased" },
          shards: { owned: 140, open: 3, in: 12, out: 9 },
          ...{ activations: 4, ...cartNumbers, lastError: null, busiest: [], actor: null }
        },
        {
          ...{ node: "host-b", program: "shop.ts", endpoint: "program-0123456789ab" },
          ...{ guarantee: "leased", shards: { owned: 116, open: 1, in: 0, out: 12 } },
          ...{ activations: 1, ...cartNumbers, waiting: 0, longest: 0, lastError: cartError },
          ...{ busiest: [], actor: null }
        }
      ],
      place: null
    }
  ],
  nodes: {
    answered: ["host-a", "host-b"],
    silent: [{ node: "host-c", reason: "no answer within 2 s" }]
  },
  withheld: []
})

/** The same, of a type or of one actor, which is on the first host. */
const actorsAsked = (type: string | undefined, id: string | undefined): ActorsStatus => ({
  ...sampleActors,
  types: sampleActors.types.map((one) => ({
    ...one,
    hosts: one.hosts.map((host, at) =>
      at > 0 || type === undefined
        ? host
        : id === undefined
          ? { ...host, busiest: [sampleCart] }
          : { ...host, actor: id === sampleCart.id ? sampleCart : null }
    ),
    place:
      id === undefined
        ? null
        : { id, shard: 17, owners: [{ node: "host-a", endpoint: "program", by: ["host-a"] }] }
  }))
})

export const sampleServices: ReadonlyArray<ServiceStatus> = Schema.decodeSync(
  Schema.Array(ServiceStatus)
)([
  {
    ...{
      name: "ledger-db",
      protocol: "tcp",
      leftOut: [],
      endpoints: { total: 1, healthy: 0, inUse: 0 }
    },
    ...{
      panic: false,
      nodes: ["host-b"],
      success: null,
      rps: 0,
      p50Ms: null,
      p95Ms: null,
      p99Ms: null
    }
  },
  {
    ...{
      name: "payments",
      protocol: "http",
      leftOut: [],
      endpoints: { total: 2, healthy: 2, inUse: 1 }
    },
    ...{ panic: false, nodes: ["host-a", "host-b"], success: 0.9987, rps: 123.4 },
    ...{ p50Ms: 1.2, p95Ms: 12.34, p99Ms: 1_234 }
  }
])

export const sampleEndpoints: ReadonlyArray<EndpointStatus> = Schema.decodeSync(
  Schema.Array(EndpointStatus)
)([
  {
    ...{ key: `${peers.a}/0`, node: "host-a", peer: peers.a, endpoint: "0", zone: "eu-west/1a" },
    ...{
      protocol: "http",
      local: true,
      healthy: true,
      draining: false,
      member: "alive",
      weight: 100
    },
    ...{ linked: true, state: "healthy", stateUntilAt: null, inUse: true, inUseDespite: null },
    ...{ breaker: "closed", ejectedUntilAt: null, inFlight: 3, ewmaMs: 1.1, success: 1, rps: 80 }
  },
  {
    ...{ key: `${peers.b}/0`, node: "host-b", peer: peers.b, endpoint: "0", zone: null },
    ...{
      protocol: "http",
      local: false,
      healthy: true,
      draining: true,
      member: "alive",
      weight: 50
    },
    ...{ linked: true, state: "draining", stateUntilAt: null, inUse: false, inUseDespite: null },
    ...{ breaker: "open", ejectedUntilAt: sampleNow + 30_000, inFlight: 0, ewmaMs: 55 },
    ...{ success: 0.5, rps: 43.4 }
  }
])

export const sampleLinks: ReadonlyArray<LinkStatus> = Schema.decodeSync(Schema.Array(LinkStatus))([
  {
    ...{ node: "host-b", peer: peers.b, direction: "outbound", state: "open" },
    ...{ address: "/ip4/192.0.2.2/tcp/4001", rttMs: 0.42, exchanges: 2 },
    ...{ bytesIn: 1_536, bytesOut: 10_485_760, sinceAt: sampleNow - 90_000, lastError: null }
  }
])

const sampleVersion = {
  ...{ id: "0a1b2c3d", epoch: sampleNow - hours(2), version: 0, signer: peers.a },
  ...{ signedAt: sampleNow - hours(2), author: "ann", node: "host-a", why: "slow on Mondays" },
  body: { timeout: { request: "2s" } }
} as const
const sampleApart = {
  ...{ ...sampleVersion, id: "4e5f6071", epoch: sampleNow - hours(3), signer: peers.b },
  ...{ signedAt: sampleNow - hours(3), author: "bob", node: "host-b", why: null },
  body: { timeout: { request: "5s" } }
}

export const sampleSettings: ReadonlyArray<SettingStatus> = Schema.decodeSync(
  Schema.Array(SettingStatus)
)([
  { kind: "policy", name: "orders", ...sampleVersion, body: { retry: "off" }, conflict: [] },
  { kind: "policy", name: "payments", ...sampleVersion, conflict: [sampleApart] }
])

export const sampleHistory: SettingHistory = Schema.decodeSync(SettingHistory)([
  { ...sampleVersion, state: "in_force" },
  { ...sampleApart, state: "apart" },
  {
    ...{ ...sampleVersion, id: "8899aabb", epoch: sampleNow - hours(30), state: "past" },
    ...{ signedAt: sampleNow - hours(30), body: null, why: null }
  }
])

const sampleAccess: AccessSource = {
  check: ({ from, to, method, path }) =>
    Effect.succeed({
      caller: { name: from, id: `spiffe://${"0f".repeat(16)}/service/${from}` },
      decision: from === "orders" ? "allow" : "deny",
      rule: from === "orders" ? "payments-charge.allow[0]" : "unmatched",
      why:
        from === "orders"
          ? "rule payments-charge.allow[0] allows it"
          : `no rule allows it, and payments-charge names ${to}`,
      notes: [],
      rules:
        from === "orders"
          ? [
              {
                ...{ rule: "payments-charge.allow[0]", list: "allow", mode: "enforce" },
                written: { from, methods: [method ?? "POST"], path: path ?? "/charge" }
              }
            ]
          : []
    }),
  lint: Effect.succeed({
    findings: [
      {
        kind: "shadowed",
        rule: "payments-charge.allow[1]",
        message: "payments-charge.allow[0] allows all that it does: take it out"
      }
    ],
    nodes: { answered: ["host-a"], silent: [{ node: "host-b", reason: "no answer within 2 s" }] }
  }),
  suggest: (service = ServiceName.make("payments")) =>
    Effect.succeed({
      nodes: { answered: ["host-a"], silent: [] },
      left: 0,
      suggestions: [
        {
          ...{ service, name: "payments" },
          rules: [{ rule: { from: "orders", methods: ["POST"], path: "/charge" }, calls: 120 }]
        }
      ]
    })
}

export const makeSampleSource = (
  overrides: Partial<AdminSource["Type"]> = {}
): AdminSource["Type"] => ({
  status: Effect.succeed(sampleStatus),
  members: Effect.succeed(sampleMembers),
  // Asked, the last one answers.
  peers: ({ all }) =>
    Effect.succeed(
      samplePeers.map((row) =>
        all && row.sync === "unknown" ? { ...row, sync: "synced", detail: null } : row
      )
    ),
  services: Effect.succeed(sampleServices),
  endpoints: (service) =>
    service === "payments"
      ? Effect.succeed(sampleEndpoints)
      : new AdminNotFound({
          code: "service_not_found",
          message: `no node offers ${service}`,
          hint: "Check spelling with `skein services`."
        }),
  links: Effect.succeed(sampleLinks),
  access: sampleAccess,
  actors: ({ id, type }) =>
    Effect.succeed(
      type === undefined || type === sampleActors.types[0]?.type
        ? actorsAsked(type, id)
        : { types: [], nodes: { answered: [], silent: [] }, withheld: [] }
    ),
  metrics: Effect.succeed("# TYPE skein_up gauge\nskein_up 1\n"),
  drain: Effect.succeed({ inFlight: 0, acknowledged: 1, members: 1, deadlineMs: 30_000 }),
  leave: Effect.succeed({ told: 1 }),
  reload: new AdminConflict({
    code: "config_invalid",
    message: "skein.yaml:5:5: policies.pay.timout: unknown key timout; did you mean timeout?",
    hint: "Mend the config and reload again; nothing was changed."
  }),
  invite: ({ services, capabilities, ttlMs }) =>
    Effect.succeed({
      token: `skein1-${[...services, ...capabilities].join(".")}`,
      expiresAt: sampleNow + ttlMs,
      bootstrap: ["/ip4/192.0.2.1/tcp/4001"],
      warnings: []
    }),
  policy: (service) =>
    Effect.succeed({
      service,
      values: [
        { path: "timeout.request", value: "2s", source: "mesh", by: "ann on host-a" },
        { path: "timeout.perTry", value: null, source: "default", by: "" },
        { path: "retry", value: "off", source: "config", by: "/etc/skein.yaml" }
      ],
      leftOut: [{ part: "retry", source: "owner", by: "host-b", reason: "it makes no policy" }]
    }),
  settings: ({ kind, name }) =>
    Effect.succeed(
      sampleSettings.filter(
        (one) =>
          (kind === undefined || one.kind === kind) && (name === undefined || one.name === name)
      )
    ),
  settingHistory: () => Effect.succeed(sampleHistory),
  changeSettings: ({ changes, waitMs }) =>
    Effect.succeed({
      results: changes.map(({ body, kind, name }) => ({
        ...{ kind, name, id: "ccddeeff", settles: 0 },
        outcome: body === null ? ("deleted" as const) : ("changed" as const)
      })),
      seen: waitMs === 0 ? null : { nodes: 2, of: 3, missing: ["host-c"], away: ["host-d"] }
    }),
  checkSettings: ({ changes }) => Effect.succeed({ accepted: changes.length }),
  forget: ({ node }) =>
    node === "host-z"
      ? new AdminNotFound({
          code: "not_there",
          message: "there is no node host-z in the mesh",
          hint: "`skein members` lists those there are."
        })
      : Effect.succeed({ node: NodeName.make(node), peer: PeerKey.make(peers.c) }),
  revoke: ({ target }) =>
    target === "host-z"
      ? new AdminNotFound({
          code: "not_there",
          message: "there is no node host-z in the mesh",
          hint: "`skein members` lists them."
        })
      : Effect.succeed({
          revoked: [`${target} was thrown out of the mesh by ops on host-a`],
          stay: ["host-c"],
          seen: { nodes: 3, of: 3, missing: [], away: [] }
        }),
  revoked: Effect.succeed([]),
  roots: Effect.succeed({
    roots: [
      {
        ...sampleRoot(0),
        withdrawnAt: null,
        isNewest: false,
        hasKey: false,
        rivals: [],
        members: 1
      },
      { ...sampleRoot(1), withdrawnAt: null, isNewest: true, hasKey: true, rivals: [], members: 2 }
    ],
    hasKey: true,
    left: [
      {
        node: NodeName.make("host-c"),
        peer: PeerKey.make(peers.c),
        root: sampleRoot(0).id,
        isThere: true,
        why: "it moves within a minute"
      }
    ],
    notYet: "host-c is there and still under an older root"
  }),
  rotateRoot: ({ waitMs }) =>
    Effect.succeed({
      ...{ root: sampleRoot(1).id, replaces: sampleRoot(0).id, rivals: [] },
      left: [NodeName.make("host-c")],
      seen: waitMs === 0 ? null : { nodes: 3, of: 3, missing: [], away: [] }
    }),
  finishRoot: ({ force, waitMs }) =>
    force
      ? Effect.succeed({
          ...{ root: sampleRoot(1).id, withdrawn: [sampleRoot(0).id], kept: 2, dropped: [] },
          stay: [NodeName.make("host-c")],
          seen: waitMs === 0 ? null : { nodes: 3, of: 3, missing: [], away: [] }
        })
      : new AdminConflict({
          code: "not_yet",
          message:
            "the older roots are not withdrawn: host-c is there and still under an older root",
          hint: "Wait, and look at `skein root status`."
        }),
  ...overrides
})
