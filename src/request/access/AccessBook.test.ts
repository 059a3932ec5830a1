import { Schema } from "effect"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import type { AccessSetting } from "../../model/Access.ts"
import { type Caller, parseCaller } from "../../model/Caller.ts"
import type { Call } from "../../model/Exchange.ts"
import { ServiceName } from "../../model/Names.ts"
import { AccessBody, type AccessBodyInput, accessSetting } from "../../schema/AccessSchema.ts"
import { httpCall, tcpCall } from "../../testing/InboundFixture.ts"
import { decideNaively } from "../../testing/NaiveAccess.ts"
import { AccessBook } from "./AccessBook.ts"

const decodeBody = Schema.decodeSync(AccessBody)
const setting = (name: string, body: AccessBodyInput): AccessSetting =>
  accessSetting(name, decodeBody(body))

/** Callers are the same objects again and again, as on a link. */
const callers = new Map<string, Caller>()
const callerOf = (text: string): Caller => {
  const known = callers.get(text)
  const caller = known ?? parseCaller(text)
  if (caller === undefined) throw new Error(`${text} is no caller`)
  callers.set(text, caller)
  return caller
}

const bookOf = (settings: ReadonlyArray<AccessSetting>) => {
  const who = { host: "host-b" }
  const book = new AccessBook(() => who.host)
  book.set(settings)
  return {
    book,
    /** `orders POST /charge`, and what is not said by it. */
    ask: (text: string, head: Parameters<typeof httpCall>[0] = {}, change: Partial<Call> = {}) => {
      const [caller = "", method = "GET", target = "/"] = text.split(" ")
      const identity = callerOf(caller)
      const call = httpCall({ method, target, ...head }, { identity, ...change })
      const verdict = book.decide(call, 8081)
      return verdict && `${verdict.decision} ${verdict.rule}`
    },
    decide: (call: Call, caller: Caller, host: string, port: number) => {
      who.host = host
      return book.decide({ ...call, identity: caller }, port)
    }
  }
}

describe("access rules", () => {
  it("let everybody through where there are none", () => {
    expect(bookOf([]).ask("orders POST /charge")).toBeUndefined()
  })

  it("let through whom one allows, and nobody else", () => {
    const { ask } = bookOf([
      setting("payments-charge", {
        service: "payments",
        allow: [
          { from: "orders", methods: ["POST"], path: "/charge" },
          { from: "host/ops-*", methods: ["GET"] }
        ]
      })
    ])
    expect(ask("orders POST /charge")).toBe("allow payments-charge.allow[0]")
    expect(ask("orders POST /charge?a=b")).toBe("allow payments-charge.allow[0]")
    expect(ask("orders GET /charge")).toBe("deny unmatched")
    expect(ask("orders POST /refund")).toBe("deny unmatched")
    expect(ask("web POST /charge")).toBe("deny unmatched")
    expect(ask("host/ops-1 GET /anything")).toBe("allow payments-charge.allow[1]")
    // Nobody names this one.
    const refunds = { service: ServiceName.make("refunds") }
    expect(ask("web POST /", {}, refunds)).toBe("allow default")
  })

  it("deny what one denies, whatever is allowed", () => {
    const { ask } = bookOf([
      setting("a", { service: "*", allow: [{ from: "*" }] }),
      setting("b", { service: "pay*", deny: [{ from: "web", path: "/admin/*" }] })
    ])
    expect(ask("web GET /")).toBe("allow a.allow[0]")
    expect(ask("web GET /admin/x")).toBe("deny b.deny[0]")
    expect(ask("orders GET /admin/x")).toBe("allow a.allow[0]")
  })

  it("follow the mesh's default where none names a service", () => {
    const allow = setting("default", { default: "allow" })
    const deny = setting("default", { default: "deny" })
    expect(bookOf([allow]).ask("orders GET /")).toBe("allow default")
    expect(bookOf([deny]).ask("orders GET /")).toBe("deny default")
    expect(bookOf([allow, { ...deny, name: "other" }]).ask("orders GET /")).toBe("deny default")
    const nobody = setting("a", { service: "payments", allow: [] })
    expect(bookOf([allow, nobody]).ask("orders GET /")).toBe("deny unmatched")
  })

  it("say what they would deny while they are in audit", () => {
    const rules = setting("a", { service: "payments", allow: [{ from: "orders" }] })
    const audit = (one: AccessSetting): AccessSetting => ({ ...one, mode: "audit" })
    const { ask } = bookOf([audit(rules)])
    expect(ask("orders GET /")).toBe("allow a.allow[0]")
    expect(ask("web GET /")).toBe("would_deny unmatched")
    const denies = setting("b", { service: "payments", deny: [{ from: "orders" }] })
    expect(bookOf([rules, audit(denies)]).ask("orders GET /")).toBe("would_deny b.deny[0]")
    // What holds denies, whatever is tried beside it.
    expect(bookOf([denies, audit(rules)]).ask("orders GET /")).toBe("deny b.deny[0]")
    const byDefault = audit(setting("default", { default: "deny" }))
    expect(bookOf([byDefault]).ask("orders GET /")).toBe("would_deny default")
  })

  it("tell people why", () => {
    const { book } = bookOf([
      setting("a", { service: "payments", allow: [{ from: "web", path: "/a" }] }),
      setting("b", { service: "payments", deny: [{ from: "orders", methods: "PUT" }] })
    ])
    const identity = callerOf("orders")
    const why = (head: Parameters<typeof httpCall>[0]) =>
      book.decide(httpCall(head, { identity }), 0)?.why
    expect(why({})).toBe("no rule allows it, and a, b name payments")
    expect(why({ method: "PUT" })).toBe("rule b.deny[0] denies it")
    const paths = bookOf([
      setting("a", { service: "payments", allow: [{ from: "*", path: "/a" }] })
    ])
    expect(paths.book.decide(httpCall({ target: "/a//b" }), 0)?.why).toBe(
      "its path has //, which some programs take for one slash, and there are rules about paths of payments"
    )
    const closed = bookOf([setting("default", { default: "deny" })])
    expect(closed.book.decide(httpCall(), 0)?.why).toBe(
      "no rule names payments, and the mesh's default is deny (default)"
    )
  })

  it("are replaced whole", () => {
    const { ask, book } = bookOf([setting("a", { service: "payments", allow: [] })])
    expect(ask("orders GET /")).toBe("deny unmatched")
    book.set([setting("a", { service: "payments", allow: [{ from: "orders" }] })])
    expect(ask("orders GET /")).toBe("allow a.allow[0]")
    book.set([])
    expect(ask("orders GET /")).toBeUndefined()
  })
})

describe("a path that programs read differently", () => {
  const { ask } = bookOf([
    setting("a", {
      service: "payments",
      allow: [{ from: "orders", path: "/public/*" }, { from: "web" }]
    })
  ])
  it.each([
    ...[
      "/public//x",
      "/public/../admin",
      "/public/./x",
      "/public/%2e%2e/admin",
      "/public/..%2fadmin"
    ],
    ...[
      "/public/%2E%2E/admin",
      "/public/x;/../admin",
      "/public/..;/admin",
      "/public/%5c..%5cadmin"
    ],
    ...["/public/%00", "/public/%c0%ae%c0%ae/admin", "/public/%252e%252e/admin", "/public/%uff0e"],
    ...["/public/%EF%BC%8E%EF%BC%8E/admin", "/public/%", "/%70ublic/x", "/public\\..\\admin"]
  ])("%s is refused where a rule about paths is about the caller", (target) => {
    expect(ask(`orders GET ${target}`)).toBe("deny ambiguous")
    expect(ask(`web GET ${target}`)).toBe("allow a.allow[1]")
  })
})

describe("a field that programs take for another path or method", () => {
  const { ask } = bookOf([
    setting("a", {
      service: "payments",
      allow: [
        { from: "orders", path: "/public/*" },
        { from: "shop", methods: "POST" },
        { from: "web" }
      ]
    })
  ])
  it.each([
    ["X-Original-URL", "orders"],
    ["X-Rewrite-URL", "orders"],
    ["x_original_url", "orders"],
    ["X.Original-URL", "orders"],
    ["X-HTTP-Method-Override", "shop"],
    ["X-HTTP-Method", "shop"],
    ["X-Method-Override", "shop"]
  ])("%s is refused where a rule about that is about the caller", (name, caller) => {
    const fields = [name, "DELETE"]
    for (const one of ["orders", "shop"]) {
      const plain = `allow a.allow[${one === "orders" ? 0 : 1}]`
      const verdict = ask(`${one} POST /public/x`, { fields })
      expect([one, verdict]).toEqual([one, one === caller ? "deny ambiguous" : plain])
    }
    expect(ask("web POST /public/x", { fields })).toBe("allow a.allow[2]")
  })

  it("is named", () => {
    const { book } = bookOf([
      setting("a", { service: "payments", allow: [{ from: "*", path: "/a" }] })
    ])
    expect(book.decide(httpCall({ target: "/a", fields: ["x-rewrite-url", "/b"] }), 0)?.why).toBe(
      "it has the field x-rewrite-url, which some programs take for its path, and there are rules about paths of payments"
    )
  })
})

describe("deny rules are wide, and allow rules narrow", () => {
  const both = (body: Omit<NonNullable<AccessBodyInput["deny"]>[number], "from">) => ({
    allowing: bookOf([setting("a", { service: "payments", allow: [{ from: "orders", ...body }] })]),
    denying: bookOf([
      setting("a", { service: "payments", allow: [{ from: "*" }], deny: [{ from: "*", ...body }] })
    ])
  })

  it.each<[string, Parameters<typeof both>[0], Parameters<typeof httpCall>[0]]>([
    ["a slash at the end", { path: "/admin" }, { target: "/admin/" }],
    ["none", { path: "/admin/" }, { target: "/admin" }],
    ["capitals", { path: "/admin" }, { target: "/ADMIN" }],
    ["capitals beyond ASCII", { path: "/é" }, { target: "/%C3%89" }],
    ["what all lies under", { path: "/admin/*" }, { target: "/admin" }],
    ["a slash behind a segment", { path: "/a/{id}" }, { target: "/a/b/" }],
    ["small letters in a method", { methods: "DELETE" }, { method: "delete" }],
    ["HEAD for GET", { methods: "GET" }, { method: "HEAD" }],
    ["capitals in a value", { headers: { "x-a": "b" } }, { fields: ["x-a", "B"] }],
    ["one of two", { headers: { "x-a": "b" } }, { fields: ["x-a", "b", "X-A", "c"] }],
    ["an entry of a list", { headers: { "x-a": "b" } }, { fields: ["x-a", "c, b"] }],
    ["another type than gRPC's", { grpc: "a.B/C" }, { method: "POST", target: "/a.B/C" }]
  ])("%s", (_, body, head) => {
    const { allowing, denying } = both(body)
    expect(allowing.ask("orders", head)).toBe("deny unmatched")
    expect(denying.ask("orders", head)).toBe("deny a.deny[0]")
  })

  it.each<[string, Parameters<typeof both>[0], Parameters<typeof httpCall>[0]]>([
    ["a path", { path: ["/b", "/a"] }, { target: "/a" }],
    ["a segment", { path: "/a/{id}/c" }, { target: "/a/b/c" }],
    ["all under", { path: "/a/*" }, { target: "/a/" }],
    ["everything", { path: "/*" }, { target: "/" }],
    ["a path with escapes", { path: "/café" }, { target: "/caf%c3%a9" }],
    ["a header", { headers: { "x-a": "b", "x-c": "*" } }, { fields: ["X-A", "b", "x_c", "d"] }],
    ["a header's beginning", { headers: { "x-a": "b-*" } }, { fields: ["x-a", "b-c"] }],
    ["an upgrade", { headers: { upgrade: "websocket" } }, { upgrade: "websocket" }],
    ["an authority", { headers: { host: "payments.mesh" } }, {}],
    [
      "gRPC",
      { grpc: "a.B" },
      { method: "POST", target: "/a.B/C", fields: ["content-type", "application/grpc+proto"] }
    ],
    ["a port", { port: 8081 }, {}]
  ])("%s is met by both", (_, body, head) => {
    const { allowing, denying } = both(body)
    expect(allowing.ask("orders", head)).toBe("allow a.allow[0]")
    expect(denying.ask("orders", head)).toBe("deny a.deny[0]")
  })

  it.each<[string, Parameters<typeof both>[0], Parameters<typeof httpCall>[0]]>([
    ["another path", { path: "/a" }, { target: "/ab" }],
    ["a path above", { path: "/a/b" }, { target: "/a" }],
    ["a path below", { path: "/a" }, { target: "/a/b" }],
    ["an empty segment", { path: "/a/{id}/c" }, { target: "/a/c" }],
    ["no path", { path: "/*" }, { method: "OPTIONS", target: "*" }],
    ["a query", { path: "/a" }, { target: "/?/a" }],
    ["no header", { headers: { "x-a": "*" } }, {}],
    ["no upgrade", { headers: { upgrade: "*" } }, {}],
    ["another port", { port: 8082 }, {}]
  ])("%s is met by neither", (_, body, head) => {
    const { allowing, denying } = both(body)
    expect(allowing.ask("orders", head)).toBe("deny unmatched")
    expect(denying.ask("orders", head)).toBe("allow a.allow[0]")
  })

  it("a port that nobody knows", () => {
    const port = { from: "*", port: 8081 } as const
    const allowing = bookOf([setting("a", { service: "payments", allow: [port] })])
    const denying = bookOf([
      setting("a", { service: "payments", allow: [{ from: "*" }], deny: [port] })
    ])
    expect(allowing.book.decide(httpCall(), 0)?.decision).toBe("deny")
    expect(denying.book.decide(httpCall(), 0)?.decision).toBe("deny")
  })

  it("a host that is denied is so as whom ever it speaks", () => {
    const { decide } = bookOf([
      setting("a", { service: "payments", allow: [{ from: "*" }], deny: [{ from: "host/ops-*" }] })
    ])
    // Two links, and so two objects.
    const [here, there] = [parseCaller("orders")!, parseCaller("orders")!]
    expect(decide(httpCall(), here, "ops-1", 0)?.decision).toBe("deny")
    expect(decide(httpCall(), there, "web-1", 0)?.decision).toBe("allow")
  })
})

describe("a tunnel", () => {
  const ask = (body: AccessBodyInput) => {
    const { book } = bookOf([setting("a", body)])
    return book.decide(tcpCall({ identity: callerOf("orders") }), 8081)?.decision
  }
  it.each<[string, AccessBodyInput["allow"], AccessBodyInput["deny"], string]>([
    ["is let through by a rule about callers alone", [{ from: "orders" }], undefined, "allow"],
    ["or about tunnels", [{ from: "orders", methods: ["CONNECT"] }], undefined, "allow"],
    ["or about this port", [{ from: "orders", port: 8081 }], undefined, "allow"],
    ["not about another port", [{ from: "orders", port: 1 }], undefined, "deny"],
    ["not by one about methods", [{ from: "orders", methods: ["GET"] }], undefined, "deny"],
    ["nor about paths", [{ from: "orders", path: "/*" }], undefined, "deny"],
    ["nor about headers", [{ from: "orders", headers: { a: "*" } }], undefined, "deny"],
    ["nor about gRPC", [{ from: "orders", grpc: "a.B" }], undefined, "deny"],
    [
      "may hide what is denied of HTTP",
      [{ from: "*" }],
      [{ from: "orders", methods: ["DELETE"], path: "/a" }],
      "deny"
    ],
    ["may not what others may not", [{ from: "*" }], [{ from: "web", path: "/a" }], "allow"]
  ])("%s", (_, allow, deny, decision) => {
    expect(ask({ service: "payments", allow, deny })).toBe(decision)
  })
})

describe("compiled rules", () => {
  const few = <A>(...items: ReadonlyArray<A>) => fc.constantFrom(...items)
  const some = <A>(item: fc.Arbitrary<A>) => fc.array(item, { minLength: 1, maxLength: 3 })
  const optional = <A>(item: fc.Arbitrary<A>) => fc.option(item, { nil: undefined, freq: 3 })
  const rules = fc.record({
    from: some(few("orders", "web", "or*", "host/a", "host/*", "service/*", "*")),
    methods: optional(some(few("GET", "POST", "DELETE", "CONNECT"))),
    path: optional(
      some(
        few("/", "/a", "/a/", "/a/b", "/a/{id}", "/{x}/b", "/a/*", "/*", "/{x}/*", "/é", "/a/B/c")
      )
    ),
    headers: optional(few({ "x-a": "b" }, { "x-a": "b*" }, { "x-a": "*", host: "*" })),
    port: optional(few<number | ReadonlyArray<number>>(8081, [8081, 8082], 8083))
  })
  const grpcRules = fc.record({ from: few("orders", "*"), grpc: some(few("a.B", "a.B/C", "a/b")) })
  const lists = fc.array(fc.oneof({ weight: 4, arbitrary: rules }, grpcRules), { maxLength: 6 })
  const bodies = fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({
        service: some(few("payments", "pay*", "*", "refunds")),
        mode: few<"enforce" | "audit" | undefined>("enforce", "enforce", undefined, "audit"),
        allow: lists,
        deny: optional(lists)
      })
    },
    fc.record({
      default: few<"allow" | "deny">("allow", "deny"),
      mode: few<"enforce" | "audit">("enforce", "audit")
    })
  )
  /** Some of what is made at random says nothing that a person would be let say. */
  const decode = Schema.decodeUnknownOption(AccessBody)
  const books = fc.array(bodies, { maxLength: 4 }).map((list) =>
    list.flatMap((body, index) => {
      const read = decode(JSON.parse(JSON.stringify(body)))
      return read._tag === "Some" ? [accessSetting(`s${index}`, read.value)] : []
    })
  )
  const heads = fc.record({
    method: few("GET", "POST", "HEAD", "delete", "DELETE"),
    target: few(
      ...["/", "/a", "/a/", "/A", "/a/b", "/a/B", "/x/b", "/a/b/c", "/a/B/c", "/a.B/C", "/a.B/C/d"],
      ...["/%C3%A9", "/%C3%89", "/a//b", "/a/%2e", "*", "/a?x=/b", "/a.b/c"]
    ),
    fields: few<ReadonlyArray<string>>(
      ...[[], ["x-a", "b"], ["X_A", "bc"], ["x-a", "b", "x-a", "c"], ["x-a", "c, B"]],
      ["content-type", "application/grpc"],
      ["X-Original-Url", "/a"],
      ["x_http_method_override", "DELETE"]
    )
  })
  const calls = fc.oneof(
    { weight: 5, arbitrary: heads.map((head) => httpCall(head)) },
    fc.constant(tcpCall())
  )
  const who = fc.record({
    caller: few("orders", "web", "host/a", "host/b").map(callerOf),
    host: few("a", "b"),
    port: few(0, 8081, 8083)
  })

  it("decide as all of them one by one do, and name the same", () => {
    fc.assert(
      fc.property(
        books,
        fc.array(fc.tuple(calls, who), { minLength: 1, maxLength: 8 }),
        (settings, asked) => {
          const { decide } = bookOf(settings)
          for (const [call, { caller, host, port }] of asked) {
            // A link's own object: what is kept by it is of this host.
            const own = { ...caller }
            const verdict = decide(call, own, host, port)
            const naive = decideNaively(settings, { call, caller, host, port })
            if (settings.length === 0) expect(verdict).toBeUndefined()
            else expect(verdict).toMatchObject(naive)
          }
        }
      ),
      { numRuns: 3_000 }
    )
  })
})
