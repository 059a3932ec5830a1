import { Either, Schema } from "effect"
import { describe, expect, it } from "vitest"
import { formatPath } from "../model/Problem.ts"
import { AccessBody, type AccessBodyInput, accessSetting, readAccess } from "./AccessSchema.ts"
import { explain } from "./ExplainIssue.ts"

const decode = Schema.decodeUnknownEither(AccessBody)

/** What is said of it, a line for each mistake; nothing when it is right. */
const said = (input: unknown): ReadonlyArray<string> =>
  Either.match(decode(input), {
    onLeft: ({ issue }) =>
      explain(issue).map(({ path, message }) => `${formatPath(path)}: ${message}`),
    onRight: () => []
  })

const charge: AccessBodyInput = {
  service: "payments",
  allow: [
    { from: "orders", methods: ["POST"], path: "/charge" },
    { from: "host/ops-*", methods: ["GET"] }
  ]
}

describe("the body of an access setting", () => {
  it("says of a list that is too long how long it is, and not what it was read as", () => {
    const long = (length: number) => Array.from({ length }, (_, index) => `app-${index}`)
    const allow = long(1_001).map((from) => ({ from }))
    expect(said({ service: "payments", allow })).toEqual([
      "allow: a list of 1001 entries is not a list of at most 1000 entries"
    ])
    expect(said({ service: "payments", allow: [{ from: long(65) }] })).toEqual([
      "allow[0].from: a list of 65 entries is not a caller, like orders, host/ops-* or * or a list of at most 64 entries"
    ])
    // What is short is shown.
    expect(said({ service: "payments", allow: [], mode: ["audit"] })).toEqual([
      'mode: ["audit"] is not one of enforce, audit'
    ])
  })

  it("is what a person writes", () => {
    const body = Either.getOrThrow(decode(charge))
    expect(accessSetting("payments-charge", body)).toEqual({
      name: "payments-charge",
      mode: "enforce",
      services: ["payments"],
      allow: [
        {
          from: [{ kind: "service", name: "orders", open: false }],
          methods: ["POST"],
          path: [{ segments: ["charge"], open: false }]
        },
        { from: [{ kind: "host", name: "ops-", open: true }], methods: ["GET"] }
      ],
      deny: []
    })
  })

  it("has one form for one entry and for a list of one, and is the same again when written out", () => {
    const lists: AccessBodyInput = {
      service: ["payments", "shop-*"],
      mode: "audit",
      deny: [
        {
          from: ["orders", "*"],
          path: ["/a", "/b/*"],
          methods: ["PUT", "DELETE"],
          headers: { "x-tenant": "acme-*", "x-any": "*", host: "payments.mesh" },
          port: [8080, 9090]
        },
        { from: ["host/*"], grpc: ["shop.v1.Payments", "shop.v1.Payments/Charge"], port: 8080 }
      ]
    }
    for (const input of [charge, lists, { default: "deny" }, { service: "*", allow: [] }]) {
      const body = Either.getOrThrow(decode(input))
      expect(decode(Schema.encodeSync(AccessBody)(body))).toEqual(Either.right(body))
    }
    const alone = decode({ service: "a", allow: [{ from: "orders", path: "/a" }] })
    expect(decode({ service: ["a"], allow: [{ from: ["orders"], path: ["/a"] }] })).toEqual(alone)
  })

  it.each<[unknown, ReadonlyArray<string>]>([
    [
      { service: "Payments", allow: [{ from: "Orders", methods: ["post", "*"], path: "charge" }] },
      [
        'service: "Payments" is not a service; write its name, what names begin with (shop-*), or * for all',
        'allow[0].from: "Orders" names no caller; write a service (orders, shop-*), a host (host/db-1, host/ops-*), * for everybody, or of another mesh MESH//service/orders',
        'allow[0].methods[0]: "post" is not a method; write it in capitals, like POST',
        'allow[0].methods[1]: "*" is every method; leave methods out',
        'allow[0].path: "charge" does not begin with /'
      ]
    ],
    [{ service: "a", allows: [] }, ["allows: unknown key allows; did you mean allow?"]],
    [
      { service: "a", allow: [{ from: "b", method: "GET" }] },
      ["allow[0].method: unknown key method; did you mean methods?"]
    ],
    [
      { service: "a" },
      [
        "allow: is missing, and so is deny: write who may call it, or allow: [] to say that nobody may"
      ]
    ],
    [
      { allow: [{ from: "b" }] },
      ["service: is missing; expected a service, like payments, shop-* or *, or a list of them"]
    ],
    [
      { service: "a", allow: [{ methods: ["GET"] }] },
      [
        "allow[0].from: is missing; expected a caller, like orders, host/ops-* or *, or a list of them"
      ]
    ],
    [
      { default: "deny", service: "a", allow: [] },
      [
        "service: does not go with default; write two settings",
        "allow: does not go with default; write two settings"
      ]
    ],
    [{ default: "no" }, ['default: "no" is not one of allow, deny']],
    [{ service: "a", allow: [], mode: "dry" }, ['mode: "dry" is not one of enforce, audit']],
    [
      { service: "a", allow: [{ from: "b", grpc: "s/M", path: "/a" }] },
      ["allow[0].grpc: says method and path by itself; leave methods and path out, or grpc"]
    ],
    [
      { service: "a", allow: [{ from: "b", grpc: "a/b/c" }] },
      [
        'allow[0].grpc: "a/b/c" is no gRPC service or method; write package.Service or package.Service/Method'
      ]
    ],
    [
      { service: "a", allow: [{ from: "b", methods: "CONNECT", path: "/a" }] },
      ["allow[0].path: would never apply: a tunnel (CONNECT) has neither path nor headers"]
    ],
    [
      { service: "a", allow: [{ from: "b", headers: { "X-A": "b" } }] },
      [
        'allow[0].headers.X-A: "X-A" cannot be a key here: "X-A" is not a header\'s name; write it in small letters, like x-tenant'
      ]
    ]
  ])("tells every mistake: %j", (input, messages) => {
    expect(said(input)).toEqual(messages)
  })
})

describe("a setting of somebody newer", () => {
  it("is read whole when nothing in it is new", () => {
    expect(readAccess("a", charge)).toMatchObject({ whole: true, setting: { name: "a" } })
  })

  it("lets nobody through whom it might not have", () => {
    const { setting, whole } = readAccess("a", {
      service: "payments",
      mode: "shadow",
      later: true,
      allow: [{ from: "orders", query: "x=1" }, { from: "shop" }],
      deny: [
        { from: "evil", path: "/a", query: "x=1" },
        { from: "evil", path: 7 },
        { from: 7 },
        "all"
      ]
    })
    const everybody = { from: [{ kind: "any", name: "", open: true }] }
    const evil = { from: [{ kind: "service", name: "evil", open: false }] }
    expect(whole).toBe(false)
    expect(setting).toEqual({
      name: "a",
      mode: "enforce",
      services: ["payments"],
      allow: [{ from: [{ kind: "service", name: "shop", open: false }] }],
      deny: [{ ...evil, path: [{ segments: ["a"], open: false }] }, evil, everybody, everybody]
    })
  })

  it("closes what a default it does not know would decide", () => {
    expect(readAccess("a", { default: "ask" }).setting).toMatchObject({ default: "deny" })
    expect(readAccess("a", { default: "allow", later: 1 }).setting).toMatchObject({
      default: "allow"
    })
  })

  it.each([undefined, null, 7, [], {}, { service: "Payments" }, { service: [] }])(
    "is about nobody when it does not say about whom: %j",
    (body) => {
      expect(readAccess("a", body)).toEqual({ setting: undefined, whole: false })
    }
  )
})
