import {
  HttpBody,
  HttpClient,
  HttpClientError,
  HttpClientRequest,
  HttpClientResponse
} from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Stream } from "effect"
import { hostCaller, serviceCaller } from "../model/Caller.ts"
import { noFields } from "../model/Exchange.ts"
import { type Fault, faultKinds } from "../model/Fault.ts"
import { NodeName, PeerKey, ServiceName } from "../model/Names.ts"
import { classifyFault } from "../request/policy/Classifier.ts"
import { responseHead, ScriptedCallee, someFault } from "../testing/ScriptedCallee.ts"
import { MeshCaller } from "./MeshCaller.ts"
import { isMeshError, MeshFault } from "./MeshFault.ts"
import * as MeshHttpClient from "./MeshHttpClient.ts"

const peer = PeerKey.make("12D3KooWGRUVh8NLfSAbc52sBVRLFBqGZxCHsVPVHzQV5FCuaJ8M")

/** Answers `ok` as soon as the request has ended. */
const echo = (): ScriptedCallee => {
  const callee = new ScriptedCallee()
  callee.onCall = () =>
    void callee
      .until(() => callee.ended)
      .then(() => {
        callee.receiver.onHead(responseHead(200, ["content-type", "text/plain"]))
        callee.receiver.onData(Buffer.from("ok"))
        callee.receiver.onEnd(noFields)
      })
  return callee
}

const send = (callee: ScriptedCallee, request: HttpClientRequest.HttpClientRequest) =>
  HttpClient.HttpClient.pipe(
    Effect.flatMap((client) => client.execute(request)),
    Effect.flatMap((response) => Effect.zip(Effect.succeed(response.status), response.text)),
    Effect.provide(MeshHttpClient.layer),
    Effect.provideService(MeshCaller, { dispatch: callee.dispatch, peer })
  )

const url = "http://payments.mesh/charge?id=1&q=a|b"

/** What the platform's own client adds to every request. */
const tracing: ReadonlySet<string> = new Set(["b3", "traceparent"])

describe("a request", () => {
  it.effect("enters the mesh with service, target, authority and end-to-end fields", () =>
    Effect.gen(function* () {
      const callee = echo()
      const request = HttpClientRequest.get(url, {
        headers: { Accept: "text/plain", Connection: "close", Host: "elsewhere", Expect: "x" }
      })
      expect(yield* send(callee, request)).toEqual([200, "ok"])
      expect(callee.call).toMatchObject({
        kind: "http",
        service: "payments",
        caller: peer,
        attempt: 0,
        head: {
          method: "GET",
          target: "/charge?id=1&q=a|b",
          authority: "payments.mesh",
          framing: { kind: "none" },
          upgrade: undefined
        }
      })
      const { fields = [] } = callee.call?.head ?? {}
      const names = fields.filter((_, index) => index % 2 === 0)
      expect(names).toContain("accept")
      for (const hop of ["connection", "host", "expect"]) expect(names).not.toContain(hop)
    })
  )

  it.effect("speaks for the host, or for the service it says", () =>
    Effect.gen(function* () {
      const identity = hostCaller(NodeName.make("host-a"))
      const orders = ServiceName.make("orders")
      const seen: Array<unknown> = []
      for (const [given, as] of [
        [{}, undefined],
        [{ identity }, undefined],
        [{ identity }, orders]
      ] as const) {
        const callee = echo()
        const node = Layer.succeed(MeshCaller, { dispatch: callee.dispatch, peer, ...given })
        const caller = as === undefined ? node : Layer.provide(MeshCaller.as(as), node)
        const client = Layer.provide(MeshHttpClient.layer, caller)
        yield* HttpClient.get(url).pipe(Effect.scoped, Effect.provide(client))
        seen.push(callee.call?.identity)
      }
      expect(seen).toEqual([hostCaller(NodeName.make(peer)), identity, serviceCaller(orders)])
    })
  )

  for (const target of ["http://payments.example/", "https://payments.mesh/", "http://mesh/"]) {
    it.effect(`to ${target} is no call to a service`, () =>
      Effect.gen(function* () {
        const callee = echo()
        const error = yield* Effect.flip(send(callee, HttpClientRequest.get(target)))
        expect(error).toMatchObject({ _tag: "RequestError", reason: "InvalidUrl" })
        expect(callee.call).toBeUndefined()
      })
    )
  }

  // As a client on a socket would have it read: docs/http.md.
  const taken: ReadonlyArray<readonly [given: Record<string, string>, sent: object]> = [
    [{ "skein-error": "overflow", "Skein-Node": "host-z", "x-a": "1" }, { "x-a": "1" }],
    [{ "skein-caller": "admin", skein_caller: "admin", "x-a": "1" }, { "x-a": "1" }],
    [
      { connection: "close, x-hop", "x-hop": "1", "keep-alive": "timeout=5", "x-a": "1" },
      { "x-a": "1" }
    ],
    [{ "proxy-authorization": "Basic x", "proxy-connection": "close", "x-a": "1" }, { "x-a": "1" }],
    [{ x_forwarded_for: "192.0.2.1", content_length: "5", "x-a": "1" }, { "x-a": "1" }],
    [{ te: "gzip, trailers" }, { te: "trailers" }],
    [{ te: "gzip" }, {}],
    [{ upgrade: "websocket", connection: "upgrade" }, {}],
    [{ expect: "100-continue" }, {}],
    [{ "content-length": "99", "transfer-encoding": "gzip" }, {}],
    [{ "x-a": "  a  b  " }, { "x-a": "a  b" }]
  ]
  for (const [given, sent] of taken) {
    it.effect(`with ${JSON.stringify(given)} sends ${JSON.stringify(sent)} of it`, () =>
      Effect.gen(function* () {
        const callee = echo()
        const request = HttpClientRequest.get(url, { headers: given })
        yield* send(callee, HttpClientRequest.setHeader(request, "x-last", "1"))
        const { fields = [], upgrade, expectsContinue } = callee.call?.head ?? {}
        const pairs = fields.flatMap((name, i) =>
          i % 2 === 0 && !tracing.has(name) ? [[name, fields[i + 1]]] : []
        )
        expect(Object.fromEntries(pairs)).toEqual({ ...sent, "x-last": "1" })
        expect([upgrade, expectsContinue]).toEqual([undefined, false])
      })
    )
  }

  const long = "a".repeat(20_000)
  const many = Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`x-${i}`, "1"]))
  const refused: ReadonlyArray<
    readonly [what: string, request: HttpClientRequest.HttpClientRequest, said: string]
  > = [
    ...["a\r\nx-injected: 1", "a\nb", "€", "\0"].map(
      (value) =>
        [
          `a header of ${JSON.stringify(value)}`,
          HttpClientRequest.get(url, { headers: { "x-name": value } }),
          "x-name"
        ] as const
    ),
    [
      "a header name that is no token",
      HttpClientRequest.get(url, { headers: { "x name": "1" } }),
      "x name"
    ],
    ["a header whose name ends", HttpClientRequest.get(url, { headers: { "x:y": "1" } }), "x:y"],
    ["too many headers", HttpClientRequest.get(url, { headers: many }), "more than 100"],
    [
      "a head that is too long",
      HttpClientRequest.get(url, { headers: { a: long, b: long } }),
      "32768"
    ],
    ["a target that is too long", HttpClientRequest.get(`${url}${long}`), "16384"],
    [
      "a connection option that is no name",
      HttpClientRequest.get(url, { headers: { connection: "x y" } }),
      "connection option"
    ],
    [
      "a deadline that is no number",
      HttpClientRequest.get(url, { headers: { "skein-deadline": "soon" } }),
      "skein-deadline"
    ]
  ]
  for (const [what, request, said] of refused) {
    it.effect(`with ${what} is refused`, () =>
      Effect.gen(function* () {
        const callee = echo()
        const error = yield* Effect.flip(send(callee, request))
        expect(error).toMatchObject({ _tag: "RequestError", reason: "Encode" })
        expect(error.message).toContain(said)
        expect(callee.call).toBeUndefined()
      })
    )
  }

  it.effect("says how long it may take and which attempt it is, as fields of the call", () =>
    Effect.gen(function* () {
      const callee = echo()
      const headers = { "skein-deadline": "250", "grpc-timeout": "1S", "skein-attempt": "2" }
      yield* send(callee, HttpClientRequest.get(url, { headers }))
      expect(callee.call).toMatchObject({ deadline: 250, attempt: 2 })
      expect(callee.call?.head?.fields).toContain("grpc-timeout")
      expect(callee.call?.head?.fields).not.toContain("skein-deadline")
    })
  )
})

describe("a body", () => {
  const form = new FormData()
  form.set("amount", "12")
  const kinds: ReadonlyArray<
    readonly [name: string, body: HttpBody.HttpBody, framing: object, text: string, type: string]
  > = [
    ["text", HttpBody.text("12 €", "text/x"), { kind: "length", length: 6 }, "12 €", "text/x"],
    ["json", HttpBody.unsafeJson({ a: 1 }), { kind: "length", length: 7 }, '{"a":1}', "json"],
    ["raw string", HttpBody.raw("abc"), { kind: "length", length: 3 }, "abc", ""],
    ["raw bytes", HttpBody.raw(Buffer.from("abc")), { kind: "length", length: 3 }, "abc", ""],
    ["blob", HttpBody.raw(new Blob(["abc"])), { kind: "stream" }, "abc", ""],
    ["nothing", HttpBody.raw(null), { kind: "none" }, "", ""],
    [
      "parameters",
      HttpBody.raw(new URLSearchParams({ a: "1 2" })),
      { kind: "stream" },
      "a=1+2",
      "application/x-www-form-urlencoded"
    ],
    [
      "stream",
      HttpBody.stream(Stream.make(Buffer.from("ab"), Buffer.from("c")), "text/s"),
      { kind: "stream" },
      "abc",
      "text/s"
    ],
    ["form", HttpBody.formData(form), { kind: "stream" }, "amount", "multipart/form-data; boundary"]
  ]
  for (const [name, body, framing, text, type] of kinds) {
    it.effect(`of ${name} is framed and sent`, () =>
      Effect.gen(function* () {
        const callee = echo()
        yield* send(callee, HttpClientRequest.post(url, { body }))
        const head = callee.call?.head
        expect(head?.framing).toEqual(framing)
        const sent = Buffer.from(callee.written.join(""), "latin1").toString("utf8")
        if (name === "form") expect(sent).toContain(text)
        else expect(sent).toBe(text)
        const { fields = [] } = head ?? {}
        const said = fields[fields.indexOf("content-type") + 1] ?? ""
        expect(said).toContain(type)
        expect(fields).not.toContain("content-length")
      })
    )
  }

  it.effect("that was read before is refused, not a defect", () =>
    Effect.gen(function* () {
      const used = new Blob(["a"]).stream()
      yield* Effect.promise(() => new Response(used).text())
      const request = HttpClientRequest.post(url, { body: HttpBody.raw(used) })
      const error = yield* Effect.flip(send(echo(), request))
      expect(error).toMatchObject({ _tag: "RequestError", reason: "Encode" })
    })
  )

  it.effect("that fails is the request's failure, and gives the exchange up", () =>
    Effect.gen(function* () {
      const callee = echo()
      const body = HttpBody.stream(Stream.fail(new Error("no more paper")), "text/plain")
      const error = yield* Effect.flip(send(callee, HttpClientRequest.post(url, { body })))
      expect(error).toMatchObject({ _tag: "RequestError", reason: "Transport" })
      expect(error.message).toContain("no more paper")
      expect(callee.cancelled?.code).toBe("client_gone")
    })
  )
})

const noRoute: Fault = {
  code: "route_not_found",
  message: "no node of the mesh offers a service named payments",
  node: "host-a",
  service: ServiceName.make("payments"),
  sent: false
}

describe("failures", () => {
  it.effect("of the mesh say which node ended the call, why, and what to look at", () =>
    Effect.gen(function* () {
      const callee = new ScriptedCallee()
      callee.onCall = () => callee.receiver.onFault(noRoute)
      const error = yield* Effect.flip(send(callee, HttpClientRequest.get(url)))
      expect(error).toBeInstanceOf(HttpClientError.RequestError)
      expect(error.reason).toBe("Transport")
      expect(error.message).toBe(
        "Transport: route_not_found from host-a: no node of the mesh offers a service named payments. Check its spelling with `skein services`; if a node offers it, the message says why it gets no calls. (GET http://payments.mesh/charge?id=1&q=a|b)"
      )
    })
  )

  it.effect("of the mesh have it as fields, and no field that was not said", () =>
    Effect.gen(function* () {
      const callee = new ScriptedCallee()
      callee.onCall = () => callee.receiver.onFault(noRoute)
      const { cause } = yield* Effect.flip(send(callee, HttpClientRequest.get(url)))
      expect(cause).toBeInstanceOf(MeshFault)
      expect(cause).toMatchObject({
        _tag: "MeshFault",
        code: "route_not_found",
        detail: noRoute.message,
        hint: faultKinds.route_not_found.hint,
        node: "host-a",
        service: "payments",
        sent: false
      })
      expect(cause).not.toHaveProperty("retryAfter")
    })
  )

  it.effect("of the mesh can be told from others, by type, and judged", () =>
    Effect.gen(function* () {
      const callee = new ScriptedCallee()
      const overflow: Fault = { ...noRoute, code: "overflow", retryAfter: 3 }
      callee.onCall = () => callee.receiver.onFault(overflow)
      const caught = yield* send(callee, HttpClientRequest.get(url)).pipe(
        Effect.catchIf(isMeshError, ({ cause }) =>
          Effect.succeed([cause.code, cause.retryAfter, classifyFault(cause).name])
        )
      )
      expect(caught).toEqual(["overflow", 3, "overflow"])
      const other = yield* Effect.flip(send(callee, HttpClientRequest.get("http://elsewhere/")))
      expect(isMeshError(other)).toBe(false)
      expect(isMeshError(MeshFault.from(noRoute))).toBe(false)
    })
  )

  const readings: ReadonlyArray<
    readonly [
      name: string,
      read: (
        response: HttpClientResponse.HttpClientResponse
      ) => Effect.Effect<unknown, HttpClientError.HttpClientError>
    ]
  > = [
    ["text", ({ text }) => text],
    ["json", ({ json }) => json],
    ["arrayBuffer", ({ arrayBuffer }) => arrayBuffer],
    ["urlParamsBody", ({ urlParamsBody }) => urlParamsBody],
    ["stream", ({ stream }) => Stream.runDrain(stream)]
  ]
  for (const [name, read] of readings) {
    it.effect(`in the middle of a body say the same, read as ${name}`, () =>
      Effect.gen(function* () {
        const callee = new ScriptedCallee()
        callee.onCall = () => {
          callee.receiver.onHead(responseHead(200))
          callee.receiver.onFault(someFault)
        }
        const error = yield* HttpClient.HttpClient.pipe(
          Effect.flatMap((client) => client.get(url)),
          Effect.flatMap(read),
          Effect.provide(MeshHttpClient.layer),
          Effect.provideService(MeshCaller, { dispatch: callee.dispatch, peer }),
          Effect.flip
        )
        expect(error).toMatchObject({ _tag: "ResponseError", reason: "Decode" })
        expect(error.message).toMatch(
          /^Decode: upstream_reset from host-b: the endpoint closed the connection\. .* \(200 GET http/
        )
        expect(isMeshError(error) && error.cause.code).toBe("upstream_reset")
      })
    )
  }

  it.effect("that are not the mesh's are told as well", () =>
    Effect.gen(function* () {
      const callee = new ScriptedCallee()
      callee.onCall = () => callee.receiver.onHead(responseHead(600))
      const error = yield* Effect.flip(send(callee, HttpClientRequest.get(url)))
      expect(error.message).toContain("the response (status 600) has no form as a web Response")
      expect(isMeshError(error)).toBe(false)
    })
  )

  it.effect("of the application are responses", () =>
    Effect.gen(function* () {
      const callee = new ScriptedCallee()
      callee.onCall = () => {
        callee.receiver.onHead(responseHead(503, [], { kind: "none" }))
        callee.receiver.onEnd(noFields)
      }
      expect(yield* send(callee, HttpClientRequest.get(url))).toEqual([503, ""])
    })
  )

  it.effect("interrupting the program cancels the exchange", () =>
    Effect.gen(function* () {
      const callee = new ScriptedCallee()
      const called = new Promise<void>((resolve) => {
        callee.onCall = resolve
      })
      const fiber = yield* Effect.fork(send(callee, HttpClientRequest.get(url)))
      yield* Effect.promise(() => called)
      yield* Fiber.interrupt(fiber)
      expect(callee.cancelled?.code).toBe("client_gone")
    })
  )

  it.effect("a stream that is left early cancels the exchange", () =>
    Effect.gen(function* () {
      const callee = new ScriptedCallee()
      callee.onCall = () => {
        callee.receiver.onHead(responseHead(200))
        while (callee.receiver.onData(Buffer.from("tick\n"))) {}
      }
      const first = yield* HttpClient.HttpClient.pipe(
        Effect.flatMap((client) => client.get(url)),
        HttpClientResponse.stream,
        Stream.take(1),
        Stream.runCount,
        Effect.provide(MeshHttpClient.layer),
        Effect.provideService(MeshCaller, { dispatch: callee.dispatch, peer })
      )
      expect(first).toBe(1)
      yield* Effect.promise(() => callee.until(() => callee.cancelled !== undefined))
    })
  )
})
