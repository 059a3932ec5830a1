import {
  Headers,
  type HttpApp,
  HttpRouter,
  HttpServer,
  HttpServerRequest,
  HttpServerResponse,
  Multipart
} from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Chunk, Deferred, Effect, Exit, Layer, Queue, Scope, Stream, TestClock } from "effect"
import { serviceCaller } from "../model/Caller.ts"
import {
  type Call,
  type Dispatch,
  noFields,
  type RequestHead,
  streamBody
} from "../model/Exchange.ts"
import { ServiceName } from "../model/Names.ts"
import { ServeRefused } from "../schema/ProgramOfferSchema.ts"
import { exchange, httpCall, payments, RecordingReceiver } from "../testing/InboundFixture.ts"
import { CalledBy } from "./CalledBy.ts"
import * as MeshHttpServer from "./MeshHttpServer.ts"
import { MeshProgram, type ServedHealth } from "./MeshProgram.ts"
import type { ServeOptions } from "./ServeOptions.ts"

/** A node that only keeps what it is told. */
const node = () => {
  const events: Array<string> = []
  const health = (one: ServedHealth) => `${one.healthy ? "well" : "ill"}: ${one.reason}`
  let dispatch: Dispatch | undefined
  const layer = Layer.succeed(MeshProgram, {
    node: () => "host-a",
    reportActors: () => Effect.void,
    drainDeadline: () => 30_000,
    mayServe: (service) =>
      service === "ledger"
        ? new ServeRefused({ code: "not_granted", message: "no", service, node: "host-a" })
        : Effect.void,
    offer: (served) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          dispatch = served.dispatch
          events.push(`offer ${served.service} ${served.weight} ${health(served.health)}`)
          return {
            endpoint: "program",
            setHealth: (one) => Effect.sync(() => void events.push(health(one)))
          }
        }),
        () => Effect.sync(() => void events.push("withdraw"))
      )
  })
  return {
    events,
    layer,
    get dispatch(): Dispatch {
      if (dispatch === undefined) throw new Error("nothing is offered")
      return dispatch
    }
  }
}

/** Serves it in the test's scope, or in one that it closes. */
const serve = <E>(
  app: HttpApp.Default<E, Scope.Scope>,
  options: ServeOptions = {},
  scope?: Scope.Scope
) =>
  Effect.gen(function* () {
    const at = node()
    const layer = Layer.provide(
      HttpServer.serve(app),
      Layer.provide(MeshHttpServer.layer("payments", options), at.layer)
    )
    yield* Layer.buildWithScope(layer, scope ?? (yield* Effect.scope))
    return at
  })

const call = (
  app: HttpApp.Default<unknown, Scope.Scope>,
  head: Partial<RequestHead> = {},
  body?: string,
  change: Partial<Call> = {}
) =>
  Effect.flatMap(serve(app), (at) =>
    Effect.promise(() => exchange(at.dispatch, httpCall(head, change), body))
  )

const said = (receiver: RecordingReceiver) => {
  const { fields = [] } = receiver.head ?? {}
  const pairs = fields.flatMap((name, i) => (i % 2 === 0 ? [[name, fields[i + 1]]] : []))
  const { date, ...rest } = Object.fromEntries(pairs)
  return rest
}

const until = (receiver: RecordingReceiver, condition: () => boolean) =>
  Effect.promise(() => receiver.until(condition))

const request = HttpServerRequest.HttpServerRequest

describe("a served call", () => {
  it.scoped(
    "comes with method, target, fields and body, and what a program is told of a call",
    () =>
      Effect.gen(function* () {
        const app = Effect.gen(function* () {
          const { headers, method, text, url } = yield* request
          return HttpServerResponse.unsafeJson({ method, url, headers, text: yield* text })
        })
        const fields = [
          "Accept",
          "text/plain",
          "x-a",
          "1",
          "X-A",
          "2",
          "cookie",
          "a=1",
          "cookie",
          "b=2"
        ]
        const receiver = yield* call(
          app,
          { method: "POST", target: "/a?b=1", fields, framing: { kind: "length", length: 2 } },
          "hi",
          { identity: serviceCaller(ServiceName.make("orders")), deadline: 250.7, attempt: 1 }
        )
        expect(receiver.head).toMatchObject({ status: 200, reason: "OK" })
        expect(JSON.parse(receiver.text)).toEqual({
          method: "POST",
          url: "/a?b=1",
          headers: {
            host: "payments.mesh",
            accept: "text/plain",
            "x-a": "1, 2",
            cookie: "a=1; b=2",
            "content-length": "2",
            "skein-caller": "orders",
            "skein-deadline": "250",
            "skein-attempt": "1"
          },
          text: "hi"
        })
        expect(receiver.trailers).toEqual([])
      })
  )

  it.scoped("says for whom it speaks, to routers and whatever runs behind them", () =>
    Effect.gen(function* () {
      const router = HttpRouter.empty.pipe(
        HttpRouter.get(
          "/who/:id",
          Effect.map(CalledBy, (caller) => HttpServerResponse.unsafeJson(caller))
        )
      )
      const identity = serviceCaller(ServiceName.make("orders"))
      const receiver = yield* call(router, { target: "/who/1" }, undefined, { identity })
      expect(JSON.parse(receiver.text)).toEqual(identity)
      expect(yield* CalledBy).toBeUndefined()
    })
  )

  it.scoped("has its body once, however often and by whom it is asked for", () =>
    Effect.gen(function* () {
      const app = Effect.gen(function* () {
        const one = yield* request
        const other = one.modify({ url: "/b", headers: Headers.fromInput({ "x-a": "1" }) })
        const all = yield* Effect.all([one.text, other.text, other.json, one.arrayBuffer])
        return HttpServerResponse.unsafeJson([
          ...all.slice(0, 3),
          new Uint8Array(all[3]).length,
          [other.url, other.originalUrl, other.headers, one.url]
        ])
      })
      const receiver = yield* call(
        app,
        { method: "POST", target: "/a", framing: { kind: "length", length: 1 } },
        "7"
      )
      expect(JSON.parse(receiver.text)).toEqual([
        "7",
        "7",
        7,
        1,
        ["/b", "/a", { "x-a": "1" }, "/a"]
      ])
    })
  )

  it.scoped("is answered with lengths, cookies and types as on a socket", () =>
    Effect.gen(function* () {
      const text = HttpServerResponse.text("hello").pipe(
        HttpServerResponse.unsafeSetCookie("a", "1")
      )
      const full = yield* call(text)
      expect(full.head?.framing).toEqual({ kind: "length", length: 5 })
      expect(said(full)).toEqual({ "content-type": "text/plain", "set-cookie": "a=1" })
      const head = yield* call(text, { method: "HEAD" })
      expect([head.head?.framing, head.text]).toEqual([{ kind: "length", length: 5 }, ""])
      const empty = yield* call(HttpServerResponse.empty())
      expect([empty.head?.status, empty.head?.framing, empty.text]).toEqual([
        204,
        { kind: "none" },
        ""
      ])
      const form = new FormData()
      form.set("a", "1")
      const sent = yield* call(HttpServerResponse.formData(form))
      expect(said(sent)["content-type"]).toMatch(/^multipart\/form-data; boundary=/)
      expect(sent.text).toContain('name="a"')
      const blob = yield* call(HttpServerResponse.raw(new Blob(["raw"])))
      expect([blob.head?.framing, blob.text]).toEqual([streamBody, "raw"])
    })
  )

  it.scoped("cannot break out of its head, nor speak for the mesh", () =>
    Effect.gen(function* () {
      const broken = (name: string, value: string) =>
        HttpServerResponse.text("secret").pipe(HttpServerResponse.setHeader(name, value))
      for (const [name, value] of [
        ["x-a", "1\r\nx-b: 2"],
        ["x a", "1"],
        ["x-a", "€"]
      ] as const) {
        const receiver = yield* call(broken(name, value))
        expect([receiver.head?.status, said(receiver), receiver.text]).toEqual([500, {}, ""])
      }
      const posing = broken("skein-error", "denied").pipe(
        HttpServerResponse.setHeaders({ connection: "x-hop", "x-hop": "1", "x-a": "1" })
      )
      expect(said(yield* call(posing))).toEqual({ "content-type": "text/plain", "x-a": "1" })
    })
  )

  it.scoped("that fails or dies is answered by the program, as by any server of the platform", () =>
    Effect.gen(function* () {
      expect((yield* call(Effect.fail("no"))).head?.status).toBe(500)
      expect((yield* call(Effect.die("no"))).head?.status).toBe(500)
      const missing = yield* call(
        HttpRouter.empty.pipe(HttpRouter.get("/a", HttpServerResponse.empty()))
      )
      expect(missing.head?.status).toBe(404)
    })
  )

  it.scoped("has its request read as it comes, and no faster than it is read", () =>
    Effect.gen(function* () {
      const chunks = yield* Queue.bounded<number>(1)
      const app = Effect.gen(function* () {
        const { stream } = yield* request
        yield* Stream.runForEach(stream, (chunk) => Queue.offer(chunks, chunk.length))
        return HttpServerResponse.empty()
      })
      const at = yield* serve(app)
      const receiver = new RecordingReceiver()
      const body = at.dispatch(httpCall({ method: "POST", framing: streamBody }), receiver)
      const chunk = Buffer.alloc(32 * 1024)
      let sent = 0
      while (body.write(chunk)) sent++
      sent++
      // Two are with the handler, which holds one, and a buffer's worth waits.
      expect(sent).toBeLessThanOrEqual(4)
      for (let i = 0; i < sent; i++) expect(yield* Queue.take(chunks)).toBe(chunk.length)
      yield* until(receiver, () => receiver.writable === 1)
      body.end(noFields)
      yield* Effect.promise(() => receiver.done)
      expect(receiver.head?.status).toBe(204)
    })
  )

  it.scoped("has its answer made no faster than it is taken", () =>
    Effect.gen(function* () {
      let made = 0
      const endless = Stream.repeatEffect(
        Effect.sync(() => {
          made++
          return new Uint8Array(1_024)
        })
      )
      const at = yield* serve(HttpServerResponse.stream(endless))
      const receiver = new RecordingReceiver()
      receiver.accept = false
      const body = at.dispatch(httpCall(), receiver)
      body.end(noFields)
      yield* until(receiver, () => receiver.chunks.length === 1)
      yield* Effect.yieldNow()
      expect(made).toBeLessThanOrEqual(2)
      receiver.accept = true
      body.resume()
      yield* until(receiver, () => receiver.chunks.length > 10)
      body.cancel({ code: "client_gone", message: "", node: "", service: payments, sent: true })
    })
  )

  it.scoped("asks for the body of a careful client when the program wants it", () =>
    Effect.gen(function* () {
      const at = yield* serve(
        Effect.flatMap(request, ({ text }) => Effect.map(text, HttpServerResponse.text))
      )
      const receiver = new RecordingReceiver()
      const framing = { kind: "length", length: 2 } as const
      const body = at.dispatch(
        httpCall({ method: "POST", framing, expectsContinue: true }),
        receiver
      )
      yield* until(receiver, () => receiver.infos.length === 1)
      expect(receiver.infos[0]?.status).toBe(100)
      body.write(Buffer.from("hi"))
      body.end(noFields)
      yield* Effect.promise(() => receiver.done)
      expect(receiver.text).toBe("hi")
    })
  )

  it.scoped("may be a form in parts", () =>
    Effect.gen(function* () {
      const app = Effect.gen(function* () {
        const parts = yield* Stream.runCollect((yield* request).multipartStream)
        const fields = Chunk.toReadonlyArray(parts).filter(Multipart.isField)
        return HttpServerResponse.unsafeJson(fields.map(({ key, value }) => [key, value]))
      })
      const text = '--x\r\ncontent-disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n'
      const framing = { kind: "length", length: text.length } as const
      const fields = ["content-type", "multipart/form-data; boundary=x"]
      const receiver = yield* call(app, { method: "POST", fields, framing }, text)
      expect(JSON.parse(receiver.text)).toEqual([["a", "1"]])
    })
  )

  it.scoped("whose body is longer than the program takes is refused by it", () =>
    Effect.gen(function* () {
      const app = Effect.flatMap(request, ({ text }) => Effect.map(text, HttpServerResponse.text))
      const at = yield* serve(app)
      const receiver = new RecordingReceiver()
      const body = at.dispatch(httpCall({ method: "POST", framing: streamBody }), receiver)
      const chunk = Buffer.alloc(1024 * 1024)
      for (let i = 0; i < 11 && !receiver.over; i++) {
        const before = receiver.writable
        if (body.write(chunk)) continue
        yield* until(receiver, () => receiver.over || receiver.writable > before)
      }
      yield* Effect.promise(() => receiver.done)
      expect(receiver.head?.status).toBe(400)
    })
  )

  it.scoped("ends with a fault where its answer breaks off, or is not what its head says", () =>
    Effect.gen(function* () {
      const broken = Stream.concat(Stream.make(new Uint8Array(2)), Stream.fail(new Error("disk")))
      const off = yield* call(HttpServerResponse.stream(broken))
      expect(off.fault).toMatchObject({
        code: "upstream_reset",
        message: "the program of payments broke off its answer: disk",
        node: "host-a",
        sent: true
      })
      for (const [contentLength, what] of [
        [1, "more"],
        [3, "less"]
      ] as const) {
        const body = Stream.make(new Uint8Array(2))
        const wrong = yield* call(HttpServerResponse.stream(body, { contentLength }))
        expect(wrong.fault?.message).toContain(
          `answered with ${what} than the head of its answer says`
        )
      }
    })
  )

  it.scoped("is interrupted when its caller gives up", () =>
    Effect.gen(function* () {
      const begun = yield* Deferred.make<void>()
      const ended = yield* Deferred.make<void>()
      const app = Deferred.succeed(begun, undefined).pipe(
        Effect.zipRight(Effect.never),
        Effect.onInterrupt(() => Deferred.succeed(ended, undefined)),
        Effect.interruptible
      )
      const at = yield* serve(app)
      const receiver = new RecordingReceiver()
      const body = at.dispatch(httpCall(), receiver)
      yield* Deferred.await(begun)
      body.cancel({ code: "client_gone", message: "", node: "", service: payments, sent: true })
      yield* Deferred.await(ended)
      expect(receiver.over).toBe(false)
    })
  )

  it.scoped("that is given up before it has begun never begins", () =>
    Effect.gen(function* () {
      let begun = false
      const app = Effect.sync(() => {
        begun = true
        return HttpServerResponse.empty()
      })
      const at = yield* serve(app)
      const body = at.dispatch(httpCall(), new RecordingReceiver())
      body.cancel({ code: "client_gone", message: "", node: "", service: payments, sent: true })
      yield* Effect.yieldNow()
      expect(begun).toBe(false)
    })
  )
})

describe("a served service", () => {
  it.scoped("is offered while it is served, under the name others call", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const at = yield* serve(HttpServerResponse.empty(), { weight: 7 }, scope)
      expect(at.events).toEqual(["offer payments 7 well: its program serves it"])
      yield* Scope.close(scope, Exit.void)
      expect(at.events.slice(1)).toEqual(["withdraw"])
    })
  )

  it.scoped("ends what runs by itself, after the mesh has heard of it", () =>
    Effect.gen(function* () {
      const go = yield* Deferred.make<void>()
      const scope = yield* Scope.make()
      const app = Effect.as(Deferred.await(go), HttpServerResponse.text("done"))
      const at = yield* serve(app, {}, scope)
      const receiver = new RecordingReceiver()
      at.dispatch(httpCall(), receiver).end(noFields)
      yield* Effect.yieldNow()
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("29 seconds")
      expect([at.events.at(-1), receiver.over]).toEqual(["withdraw", false])
      yield* Deferred.succeed(go, undefined)
      yield* closing
      expect(receiver.text).toBe("done")
    })
  )

  it.scoped("breaks off what has not ended by the deadline", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const at = yield* serve(Effect.interruptible(Effect.never), {}, scope)
      const receiver = new RecordingReceiver()
      at.dispatch(httpCall(), receiver).end(noFields)
      yield* Effect.yieldNow()
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("30 seconds")
      yield* closing
      expect(receiver.head?.status).toBe(503)
    })
  )

  it.scoped("is as healthy as its readiness says", () =>
    Effect.gen(function* () {
      const answers = ["no", "ok", "no", "ok", "no", "no", "slow", "ok"]
      const ready = Effect.suspend(() => {
        const next = answers.shift()
        if (next === "no") return Effect.fail(new Error("the database is away"))
        return next === "slow" ? Effect.never : Effect.void
      })
      const at = yield* serve(HttpServerResponse.empty(), { ready })
      const told: Array<ReadonlyArray<string>> = []
      for (let i = 0; i < 9; i++) {
        yield* TestClock.adjust(i === 0 ? 0 : "2 seconds")
        told.push(at.events.splice(0))
      }
      const ill = "ill: it is not ready: the database is away"
      expect(told).toEqual([
        ["offer payments 100 ill: not ready yet", ill],
        ["well: it is ready"],
        [],
        [],
        [],
        [ill],
        [],
        [],
        ["well: it is ready"]
      ])
    })
  )

  it.effect("that may not be offered is refused before anything is served", () =>
    Effect.gen(function* () {
      const build = Layer.build(Layer.provide(MeshHttpServer.layer("ledger"), node().layer))
      expect(yield* Effect.flip(Effect.scoped(build))).toBeInstanceOf(ServeRefused)
    })
  )
})
