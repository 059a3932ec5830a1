import { Effect, Either, Schema } from "effect"
import { describe, expect, it } from "vitest"
import type { PeerAccessUse } from "../mesh/host/MeshRpc.ts"
import type { AccessSetting } from "../model/Access.ts"
import type { MeshView } from "../model/MeshView.ts"
import { MeshId, NodeName, type PeerKey, ServiceName } from "../model/Names.ts"
import type { AccessUse } from "../request/inbound/AccessGuard.ts"
import { AccessBody, type AccessBodyInput, accessSetting } from "../schema/AccessSchema.ts"
import { endpointView, serviceView } from "../testing/OutboundFixture.ts"
import { makeAccessViews } from "./AccessViews.ts"
import type { KnownNode } from "./CallerStanding.ts"
import type { Surveyed } from "./NodeSurvey.ts"

const decode = Schema.decodeSync(AccessBody)
const setting = (name: string, body: AccessBodyInput): AccessSetting =>
  accessSetting(name, decode(body))

const payments = ServiceName.make("payments")
const used = (
  rules: Readonly<Record<string, number>>,
  change: Partial<AccessUse> = {}
): AccessUse => ({
  rules: new Map(Object.entries(rules)),
  traffic: { rows: [], left: 0 },
  ...change
})

const mesh = MeshId.make("0f".repeat(16))
const foreign = MeshId.make("a1".repeat(16))
const own = endpointView("a", { node: NodeName.make("host-a"), local: true })
const there = endpointView("b", { node: NodeName.make("host-b") })
/** Offers it, and says nothing. */
const mute = endpointView("c", { node: NodeName.make("host-c") })

const grants = (services: ReadonlyArray<string>, speaks: ReadonlyArray<string> = []) => ({
  ...{ services, speaks }
})
const known: ReadonlyArray<KnownNode> = [
  { node: NodeName.make("host-a"), rights: grants(["payments"], ["orders"]) },
  { node: NodeName.make("host-b"), rights: grants(["payments"]) },
  { node: NodeName.make("host-c"), rights: undefined },
  { node: NodeName.make("ops-1"), rights: grants([]) },
  { node: NodeName.make("ops-9"), rights: grants(["orders"]) },
  { node: NodeName.make("ops-8"), rights: { ...grants(["orders"]), withheld: ["orders"] } }
]

type Others = ReadonlyMap<PeerKey, Surveyed<PeerAccessUse>>
const nobody: Others = new Map()

const views = (
  settings: ReadonlyArray<AccessSetting>,
  use: ReadonlyArray<AccessUse> = [],
  others = nobody,
  asked: Array<unknown> = []
) => {
  const endpoints = [own, own, there, mute].filter(({ local, peer }) => local || others.has(peer))
  const view: MeshView = { version: 1, services: new Map([[payments, serviceView(endpoints)]]) }
  return makeAccessViews({
    self: { peer: own.peer, node: NodeName.make("host-a"), mesh },
    settings: () => settings,
    view: () => view,
    nodes: () => known,
    use: Effect.succeed(use),
    survey: (peers, question) => {
      asked.push({ peers, ...question })
      return Effect.succeed(others)
    }
  })
}

const charge = setting("payments-charge", {
  service: "payments",
  allow: [{ from: "orders", methods: ["POST"], path: "/charge" }, { from: "host/ops-*" }],
  deny: [{ from: "host/ops-9" }]
})

const check = (question: Parameters<ReturnType<typeof views>["check"]>[0], settings = [charge]) =>
  Effect.runSync(Effect.either(views(settings).check(question)))

describe("what a node answers about its access rules", () => {
  it("says the decision, and the rules about caller and service", () => {
    const answer = check({ from: "orders", to: payments, method: "POST", path: "/charge?a=1" })
    expect(answer).toEqual(
      Either.right({
        caller: { name: "orders", id: `spiffe://${mesh}/service/orders` },
        decision: "allow",
        rule: "payments-charge.allow[0]",
        why: "rule payments-charge.allow[0] allows it",
        notes: [],
        rules: [
          {
            ...{ rule: "payments-charge.allow[0]", list: "allow", mode: "enforce" },
            written: { from: "orders", methods: "POST", path: "/charge" }
          }
        ]
      })
    )
  })

  it("judges a call without a method as a tunnel, and a service by the host that is named", () => {
    const decision = (question: Parameters<typeof check>[0]) =>
      Either.map(check(question), (answer) => `${answer.decision} ${answer.rule}`)
    expect(decision({ from: "orders", to: payments })).toEqual(Either.right("deny unmatched"))
    expect(decision({ from: "host/ops-1", to: payments })).toEqual(
      Either.right("allow payments-charge.allow[1]")
    )
    expect(decision({ from: "host/ops-9", to: payments })).toEqual(
      Either.right("deny payments-charge.deny[0]")
    )
    const orders = { from: "orders", to: payments, method: "POST", path: "/charge" }
    expect(decision({ ...orders, host: "ops-9" })).toEqual(
      Either.right("deny payments-charge.deny[0]")
    )
    expect(decision({ ...orders, path: "/a//b" })).toEqual(Either.right("deny ambiguous"))
  })

  it.each([
    [`spiffe://${mesh}/service/orders`, "orders", "allow payments-charge.allow[0]"],
    [`${mesh}//service/orders`, "orders", "allow payments-charge.allow[0]"],
    [`spiffe://${mesh}/host/ops-9`, "host/ops-9", "deny payments-charge.deny[0]"],
    // Whoever has the name in another mesh is somebody else.
    [`spiffe://${foreign}/service/orders`, `${foreign}//service/orders`, "deny unmatched"]
  ])("takes a caller as other systems write it: %s", (from, name, decision) => {
    const answer = check({ from, to: payments, method: "POST", path: "/charge" })
    expect(
      Either.map(answer, ({ caller, decision, rule }) => [caller.name, `${decision} ${rule}`])
    ).toEqual(Either.right([name, decision]))
  })

  it("asks first whether the node that is named may speak for the caller, as a call would be", () => {
    const orders = { from: "orders", to: payments, method: "POST", path: "/charge" }
    const from = (host: string, question = orders) => {
      const { decision, notes, rule, why } = Either.getOrThrow(check({ ...question, host }))
      return [`${decision} ${rule}`, why, ...notes]
    }
    expect(from("host-a")).toEqual([
      "allow payments-charge.allow[0]",
      "rule payments-charge.allow[0] allows it"
    ])
    expect(from("host-b")).toEqual([
      "deny null",
      "node host-b may not speak for orders: its certificate grants speaking for payments; an invite with --as orders gives a node that right"
    ])
    expect(from("ops-8")[1]).toContain("any more: that was revoked")
    expect(from("host-c")[2]).toContain("the certificate of host-c is not at hand")
    expect(from("hots-a")).toEqual([
      "allow payments-charge.allow[0]",
      "rule payments-charge.allow[0] allows it",
      "no node hots-a is known here; did you mean host-a?"
    ])
    // A host speaks for itself, and nobody of this mesh for one of another.
    expect(from("host-a", { ...orders, from: "host/ops-1" })[0]).toBe("deny null")
    expect(from("ops-1", { ...orders, from: "host/ops-1" })[0]).toContain("allow[1]")
    const stranger = { ...orders, from: `spiffe://${foreign}/service/orders` }
    expect(from("host-a", stranger)[0]).toBe("deny null")
  })

  it("says which of caller, node and service nobody knows, and decides by the rules all the same", () => {
    const answer = (from: string, to: string) => {
      const { decision, notes } = Either.getOrThrow(check({ from, to: ServiceName.make(to) }, []))
      return [decision, ...notes]
    }
    expect(answer("orders", "payments")).toEqual(["allow"])
    expect(answer("ordres", "payments")).toEqual([
      "allow",
      "no node that is known here may speak for ordres, so nobody can make this call; did you mean orders?"
    ])
    expect(answer("orders", "paymnets")).toEqual([
      "allow",
      "nobody offers paymnets, as far as this node knows; did you mean payments?"
    ])
    expect(answer("host/ops-11", "ledger")).toEqual([
      "allow",
      "no node ops-11 is known here; did you mean ops-1?",
      "nobody offers ledger, as far as this node knows"
    ])
  })

  it("says that there are no rules", () => {
    expect(check({ from: "orders", to: payments }, [])).toMatchObject(
      Either.right({ decision: "allow", rule: null, why: "there are no access rules", rules: [] })
    )
  })

  it.each([
    [{ from: "Orders", to: payments }, '"Orders" is no caller'],
    [
      { from: "spiffe://shop/service/orders", to: payments },
      '"spiffe://shop/service/orders" is no caller'
    ],
    [{ from: "orders", to: payments, host: "a b" }, '"a b" is no node\'s name'],
    [
      { from: "orders", to: payments, method: "GET", path: "charge" },
      'the path "charge" does not begin with /'
    ]
  ])("says what cannot be asked: %j", (question, message) => {
    expect(Either.flip(check(question))).toMatchObject(Either.right({ message }))
  })

  it("adds up what threads have counted, for lint", () => {
    const use = [used({ "payments-charge.allow[0]": 1 }), used({ "payments-charge.allow[1]": 2 })]
    const { findings, nodes } = Effect.runSync(views([charge], use).lint)
    expect(findings.map(({ kind, rule }) => `${kind} ${rule}`)).toEqual([
      "unused payments-charge.deny[0]"
    ])
    expect(nodes).toEqual({ answered: ["host-a"], silent: [] })
  })

  it("asks the others that offer what rules are about: a rule that one has met is used", () => {
    const use = { rules: [{ rule: "payments-charge.deny[0]", calls: 2 }], traffic: [], left: 0 }
    const others: Others = new Map([
      [there.peer, { kind: "answer", answer: use }],
      [mute.peer, { kind: "silent", reason: "gone" }]
    ])
    const asked: Array<unknown> = []
    const { lint } = views([charge], [used({ "payments-charge.allow[0]": 1 })], others, asked)
    const { findings, nodes } = Effect.runSync(lint)
    expect(findings.map(({ kind, message, rule }) => `${kind} ${rule}: ${message}`)).toEqual([
      "unused payments-charge.allow[1]: no call to payments (2 nodes) has met it since it is held: is it needed?"
    ])
    expect(nodes).toEqual({
      answered: ["host-a", "host-b"],
      silent: [{ node: NodeName.make("host-c"), reason: "gone" }]
    })
    expect(asked).toEqual([{ peers: [there.peer, mute.peer], traffic: false }])
  })

  it("asks nobody about services that no rule is about", () => {
    const ledger = setting("ledger", { service: "ledger", allow: [] })
    const asked: Array<unknown> = []
    const { lint } = views([ledger], [], nobody, asked)
    Effect.runSync(lint)
    expect(asked).toEqual([{ peers: [], traffic: false }])
  })

  it("suggests what others have seen, too", () => {
    const row = { caller: "orders", service: payments, method: "POST", path: ["charge"], calls: 3 }
    const others: Others = new Map([
      [there.peer, { kind: "answer", answer: { rules: [], traffic: [row], left: 4 } }]
    ])
    const use = [used({}, { traffic: { rows: [row], left: 0 } })]
    const found = Effect.runSync(views([], use, others).suggest(payments))
    expect(found).toMatchObject({
      ...{ left: 4, nodes: { answered: ["host-a", "host-b"], silent: [] } },
      suggestions: [{ rules: [{ calls: 6 }] }]
    })
  })

  it("suggests what any thread has seen, under the name of the setting in audit", () => {
    const row = { caller: "orders", service: payments, method: "POST", path: ["charge"], calls: 3 }
    const other = { ...row, service: ServiceName.make("refunds") }
    const use = [
      used({}, { traffic: { rows: [row], left: 1 } }),
      used({}, { traffic: { rows: [row, other], left: 1 } })
    ]
    const audit = setting("pay-audit", { service: "payments", mode: "audit", allow: [] })
    const rule = { from: "orders", methods: ["POST"], path: "/charge" }
    expect(Effect.runSync(views([audit], use).suggest(payments))).toEqual({
      nodes: { answered: ["host-a"], silent: [] },
      left: 2,
      suggestions: [{ service: "payments", name: "pay-audit", rules: [{ rule, calls: 6 }] }]
    })
    const all = Effect.runSync(views([audit], use).suggest(undefined))
    expect(all.suggestions.map(({ name }) => name)).toEqual(["pay-audit", "refunds"])
  })
})
