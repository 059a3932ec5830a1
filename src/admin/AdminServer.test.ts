import { existsSync, mkdtempSync, rmSync, statSync } from "node:fs"
import { createServer, request as httpRequest, type IncomingMessage } from "node:http"
import { type AddressInfo, connect, createServer as createNetServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { it } from "@effect/vitest"
import { Deferred, Effect, Either, Exit, Fiber, Layer, Scope } from "effect"
import { describe, expect } from "vitest"
import type { AdminAddress } from "../config/HostPort.ts"
import { type AuditEvent, noAudit, type RecordAudit } from "../model/AuditEvent.ts"
import { makeSampleSource, sampleEndpoints, sampleStatus } from "../testing/SampleSource.ts"
import { withAdmin } from "./AdminClient.ts"
import { AdminForbidden } from "./AdminError.ts"
import { AdminListening, adminServer } from "./AdminServer.ts"
import { AdminSource } from "./AdminSource.ts"

const token = "sample"
const bearer = `Bearer ${token}`
const anyPort: AdminAddress = { host: "127.0.0.1", port: 0 }

/** A server until the test's scope closes; gives where it listens. */
const serve = (
  overrides: Partial<AdminSource["Type"]> = {},
  listen: AdminAddress = anyPort,
  allowRemote = false,
  audit: RecordAudit = noAudit
) =>
  Layer.build(
    adminServer({ listen, allowRemote, audit, holdsToken: (text) => text === bearer }).pipe(
      Layer.provide(Layer.succeed(AdminSource, makeSampleSource(overrides)))
    )
  ).pipe(Effect.map((context) => context.unsafeMap.get(AdminListening.key) as AdminAddress))

interface Answer {
  readonly status: number
  readonly headers: IncomingMessage["headers"]
  readonly body: string
}

/** A request with these headers and the token: fetch would not let a test set Host. */
const ask = (
  address: AdminAddress,
  path: string,
  options: { method?: string; headers?: Record<string, string>; body?: string } = {}
): Effect.Effect<Answer> =>
  Effect.promise(
    () =>
      new Promise((resolve, reject) => {
        const { body, ...rest } = options
        const headers = { authorization: bearer, ...options.headers }
        const target = "path" in address ? { socketPath: address.path } : address
        const outgoing = httpRequest(
          { ...target, ...rest, headers, path, agent: false },
          (response) => {
            let text = ""
            response.setEncoding("utf8")
            response.on("data", (chunk) => {
              text += chunk
            })
            response.on("end", () =>
              resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text })
            )
          }
        )
        outgoing.on("error", reject)
        outgoing.end(body)
      })
  )

describe("the admin server", () => {
  it.scoped("answers the probes", () =>
    Effect.gen(function* () {
      const address = yield* serve()
      expect((yield* ask(address, "/live")).body).toBe('{"live":true}')
      const ready = yield* ask(address, "/ready")
      expect([ready.status, JSON.parse(ready.body).ready]).toEqual([200, true])
      const metrics = yield* ask(address, "/metrics")
      expect(metrics.headers["content-type"]).toBe("text/plain; version=0.0.4; charset=utf-8")
      expect(metrics.body).toContain("skein_up 1")
    })
  )

  it.scoped("tells the audit what was changed, what was only tried, and what was refused", () =>
    Effect.gen(function* () {
      const told: Array<AuditEvent> = []
      const address = yield* serve({}, anyPort, false, (event) => void told.push(event))
      const changes = [{ kind: "policy", name: "payments", body: {} }]
      const body = JSON.stringify({ changes, author: "ada" })
      const headers = { "content-type": "application/json" }
      const send = (path: string) => ask(address, path, { method: "POST", headers, body })
      yield* send("/api/v1/settings/check?at=once")
      yield* send("/api/v1/drain")
      yield* ask(address, "/api/v1/settings/check", { method: "POST", headers, body: "{}" })
      expect(told.map(({ about, event }) => [event, about])).toEqual([
        ["control.tried", "POST /api/v1/settings/check"],
        ["control.done", "POST /api/v1/drain"],
        ["control.refused", "POST /api/v1/settings/check"]
      ])
    })
  )

  it.scoped("is not ready while something is missing, and says what", () =>
    Effect.gen(function* () {
      const waiting = { name: "catalogue", ready: false, detail: "no member reached" }
      const address = yield* serve({
        status: Effect.succeed({ ...sampleStatus, readiness: [waiting] })
      })
      const { status, body } = yield* ask(address, "/ready")
      expect(status).toBe(503)
      expect(JSON.parse(body)).toMatchObject({
        code: "not_ready",
        message: "not ready: catalogue (no member reached)",
        items: [{ name: "serving", ready: true, detail: "the node is serving" }, waiting]
      })
    })
  )

  it.scoped("is not ready while it drains", () =>
    Effect.gen(function* () {
      const address = yield* serve({
        status: Effect.succeed({ ...sampleStatus, state: "draining" })
      })
      const { status, body } = yield* ask(address, "/ready")
      expect([status, JSON.parse(body).message]).toEqual([
        503,
        "not ready: serving (the node is draining)"
      ])
    })
  )

  it.scoped("shows what the source says, and the client reads it back equal", () =>
    Effect.gen(function* () {
      const address = yield* serve()
      const seen = yield* withAdmin(address, (client) =>
        Effect.all([
          client.views.status({}),
          client.views.members({}),
          client.views.services({}),
          client.views
            .endpoints({ path: { name: sampleEndpoints[0]!.node as never } })
            .pipe(Effect.catchTag("AdminNotFound", ({ code }) => Effect.succeed(code))),
          client.views.links({}),
          client.views.peers({ urlParams: {} }),
          client.views.peers({ urlParams: { all: true } })
        ])
      )
      const source = makeSampleSource()
      const said = yield* Effect.all([source.status, source.members, source.services])
      expect(seen.slice(0, 3)).toEqual(said)
      expect(seen[3]).toBe("service_not_found")
      expect(seen[4]).toEqual(yield* source.links)
      expect(seen[5]).toEqual(yield* source.peers({ all: false }))
      expect(seen[6]).toEqual(yield* source.peers({ all: true }))
    })
  )

  it.scoped.each([
    ["GET", "/nothing", 404, "not_found"],
    ["DELETE", "/api/v1/status", 404, "not_found"],
    ["GET", "/api/v1/services/nobody/endpoints", 404, "service_not_found"],
    ["GET", "/api/v1/services/Bad_Name/endpoints", 400, "invalid_request"],
    ["GET", "/api/v1/peers?all=perhaps", 400, "invalid_request"],
    ["POST", "/api/v1/reload", 409, "config_invalid"]
  ] as const)("%s %s answers %d with code %s, message and hint", ([method, path, status, code]) =>
    Effect.gen(function* () {
      const answer = yield* ask(yield* serve(), path, { method })
      expect(answer.status).toBe(status)
      const body = JSON.parse(answer.body)
      expect(body.code).toBe(code)
      expect(body.message.length).toBeGreaterThan(5)
      expect(body.hint.length).toBeGreaterThan(5)
    })
  )

  it.scoped.each([
    [
      "a wrong word",
      '{"services":["*"],"capabilities":["rvoke"],"ttlMs":1000}',
      'capabilities[0]: "rvoke" is not one of admit, policy, revoke; did you mean revoke?'
    ],
    [
      "a wrong name",
      '{"services":["We b"],"capabilities":[],"ttlMs":1000}',
      "services[0]: \"We b\" is not a service pattern; write a service name, a prefix with '*' like shop-*, or *"
    ],
    [
      "a wrong number",
      '{"services":["*"],"capabilities":[],"ttlMs":-1}',
      "ttlMs: -1 is not a positive number"
    ],
    ["no list", '{"services":"web","capabilities":[],"ttlMs":1}', 'services: "web" is not a list'],
    [
      "no body",
      "null",
      "is empty; expected a mapping with services, speaks, capabilities, ttlMs, uses and name"
    ],
    ["half of it", '{"services":[', "not JSON"],
    ["nothing", "", "services"],
    ["too much", `{"services":["${"x".repeat(70_000)}"]}`, "65536 bytes"]
  ])("POST invite with %s answers 400 and why", ([_, body, reason]) =>
    Effect.gen(function* () {
      const answer = yield* ask(yield* serve(), "/api/v1/invite", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body
      })
      expect(answer.status).toBe(400)
      expect(JSON.parse(answer.body)).toMatchObject({ code: "invalid_request" })
      expect(JSON.parse(answer.body).message).toContain(reason)
    })
  )

  it.scoped("hands invites on, and the source's refusal", () =>
    Effect.gen(function* () {
      const payload = { services: ["payments"], capabilities: ["admit"] as const, ttlMs: 1_000 }
      const open = yield* serve()
      const invited = yield* withAdmin({ ...open, token }, (client) =>
        client.actions.invite({ payload })
      )
      expect(invited.token).toBe("skein1-payments.admit")
      const refusal = new AdminForbidden({ code: "exceeds_grant", message: "no", hint: "ask" })
      const closed = yield* serve({ invite: () => refusal })
      const refused = yield* Effect.either(
        withAdmin({ ...closed, token }, (client) => client.actions.invite({ payload }))
      )
      expect(Either.isLeft(refused) && refused.left).toEqual(refusal)
    })
  )

  it.scoped("a defect of the source is 500 without its insides", () =>
    Effect.gen(function* () {
      const address = yield* serve({ links: Effect.die(new Error("secret")) })
      const { status, body } = yield* ask(address, "/api/v1/links")
      expect(status).toBe(500)
      expect(body).not.toContain("secret")
      expect(JSON.parse(body).code).toBe("broken")
    })
  )

  it.scoped("guards: a rebound name and a page's POST are refused with 403", () =>
    Effect.gen(function* () {
      const address = yield* serve()
      const rebound = yield* ask(address, "/api/v1/status", { headers: { host: "evil.example" } })
      const forged = yield* ask(address, "/api/v1/drain", {
        method: "POST",
        headers: { origin: "http://evil.example" }
      })
      expect([rebound.status, forged.status]).toEqual([403, 403])
      expect(JSON.parse(forged.body)).toMatchObject({ code: "forbidden" })
    })
  )

  it.scoped("a port shows and changes nothing; a socket and the token do", () =>
    Effect.gen(function* () {
      const directory = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "skein-admin-"))),
        (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
      )
      let drains = 0
      const drain = Effect.sync(() => {
        drains++
        return { inFlight: 0, acknowledged: 0, members: 0, deadlineMs: 1 }
      })
      const port = yield* serve({ drain })
      const socket = yield* serve({ drain }, { path: join(directory, "admin.sock") })
      const post = (address: AdminAddress, authorization: string) =>
        ask(address, "/api/v1/drain", { method: "POST", headers: { authorization } })
      const refused = yield* post(port, "Bearer guess")
      expect([refused.status, JSON.parse(refused.body).code]).toEqual([403, "wrong_token"])
      const bare = yield* Effect.flip(withAdmin(port, (client) => client.actions.drain({})))
      expect(bare).toMatchObject({ code: "control_needed" })
      expect(drains).toBe(0)
      expect((yield* post(port, bearer)).status).toBe(200)
      expect((yield* withAdmin(socket, (client) => client.actions.drain({}))).deadlineMs).toBe(1)
      expect(drains).toBe(2)
    })
  )

  it.scoped("an action goes on when its asker goes away", () =>
    Effect.gen(function* () {
      const begun = yield* Deferred.make<void>()
      const release = yield* Deferred.make<void>()
      const done = yield* Deferred.make<void>()
      const address = yield* serve({
        drain: Effect.gen(function* () {
          yield* Deferred.succeed(begun, undefined)
          yield* Deferred.await(release)
          yield* Deferred.succeed(done, undefined)
          return { inFlight: 0, acknowledged: 0, members: 0, deadlineMs: 1 }
        })
      })
      const port = "port" in address ? address.port : 0
      const asker = connect(port, "127.0.0.1")
      asker.write(
        `POST /api/v1/drain HTTP/1.1\r\nHost: localhost\r\nAuthorization: ${bearer}\r\nContent-Length: 0\r\n\r\n`
      )
      yield* Deferred.await(begun)
      asker.destroy()
      yield* Effect.promise(() => new Promise((resolve) => asker.once("close", resolve)))
      yield* Deferred.succeed(release, undefined)
      yield* Deferred.await(done)
    })
  )
})

describe("where it listens", () => {
  it.scoped("a port in use is said, with the mend", () =>
    Effect.gen(function* () {
      const address = yield* serve()
      const second = yield* Effect.either(serve({}, address))
      expect(Either.isLeft(second) && second.left).toMatchObject({ code: "port_in_use" })
      expect(Either.isLeft(second) && second.left.message).toContain("in use")
    })
  )

  it.scoped("an address of another host is said", () =>
    Effect.gen(function* () {
      const result = yield* Effect.either(serve({}, { host: "192.0.2.1", port: 0 }, true))
      expect(Either.isLeft(result) && result.left.code).toBe("address_not_local")
    })
  )

  it.scoped("an open address needs allowRemote", () =>
    Effect.gen(function* () {
      const open: AdminAddress = { host: "0.0.0.0", port: 0 }
      const refused = yield* Effect.either(serve({}, open))
      expect(Either.isLeft(refused) && refused.left.code).toBe("not_permitted")
      const allowed = yield* serve({}, open, true)
      const seen = yield* withAdmin(allowed, (client) => client.views.status({}))
      expect(seen.node).toBe("host-a")
    })
  )

  it.scoped("a unix socket: only this user's, taken over when stale, removed at the end", () =>
    Effect.gen(function* () {
      const directory = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "skein-admin-"))),
        (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
      )
      const path = join(directory, "admin.sock")
      // What a killed node leaves: a socket file with nobody behind it.
      yield* Effect.promise(
        () =>
          new Promise<void>((resolve) => {
            const dead = createNetServer().listen(path, () => {
              const { execFileSync } = process.getBuiltinModule("node:child_process")
              execFileSync("cp", ["-a", path, `${path}.kept`])
              dead.close(() => {
                execFileSync("mv", [`${path}.kept`, path])
                resolve()
              })
            })
          })
      )
      const scope = yield* Scope.make()
      const address = yield* serve({}, { path }).pipe(Scope.extend(scope))
      expect(statSync(path).mode & 0o777).toBe(0o600)
      const seen = yield* withAdmin(address, (client) => client.views.status({}))
      expect(seen.node).toBe("host-a")
      const second = yield* Effect.either(serve({}, { path }))
      expect(Either.isLeft(second) && second.left.code).toBe("port_in_use")
      yield* Scope.close(scope, Exit.void)
      expect(existsSync(path)).toBe(false)
    })
  )

  it.scoped(
    "closing lets the answer being given go out, and is not held up by idle connections",
    () =>
      Effect.gen(function* () {
        const begun = yield* Deferred.make<void>()
        const release = yield* Deferred.make<void>()
        const scope = yield* Scope.make()
        const address = yield* serve({
          leave: Effect.gen(function* () {
            yield* Deferred.succeed(begun, undefined)
            yield* Deferred.await(release)
            return { told: 3 }
          })
        }).pipe(Scope.extend(scope))
        const idle = connect("port" in address ? address.port : 0, "127.0.0.1")
        yield* Effect.promise(() => new Promise((resolve) => idle.once("connect", resolve)))
        const answer = yield* Effect.fork(
          withAdmin({ ...address, token }, (client) => client.actions.leave({}))
        )
        yield* Deferred.await(begun)
        const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
        yield* Deferred.succeed(release, undefined)
        expect(yield* Fiber.join(answer)).toEqual({ told: 3 })
        yield* Fiber.join(closing)
        idle.destroy()
      })
  )
})

describe("the client", () => {
  const failing = (address: AdminAddress) =>
    Effect.flip(withAdmin(address, (client) => client.views.status({}), "500 millis"))

  it.live("says that nobody is there", () =>
    Effect.gen(function* () {
      expect(yield* failing({ host: "127.0.0.1", port: 1 })).toMatchObject({
        code: "refused",
        message: "no node answers at 127.0.0.1:1: connection refused"
      })
      expect(yield* failing({ path: "/nonexistent/skein.sock" })).toMatchObject({
        code: "no_socket"
      })
    })
  )

  it.live("says that somebody else is there, or somebody silent", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const listening = (handler: Parameters<typeof createServer>[1]) =>
          Effect.acquireRelease(
            Effect.promise(
              () =>
                new Promise<ReturnType<typeof createServer>>((resolve) => {
                  const server = createServer(handler ?? (() => {}))
                  server.listen(0, "127.0.0.1", () => resolve(server))
                })
            ),
            (server) =>
              Effect.sync(() => {
                server.closeAllConnections()
                server.close()
              })
          ).pipe(
            Effect.map((server) => ({
              host: "127.0.0.1",
              // Listening on TCP, so the address is neither a path nor null.
              port: (server.address() as AddressInfo).port
            }))
          )
        const other = yield* listening((_, response) => response.end("<html>"))
        const wrong = yield* listening((_, response) => {
          response.statusCode = 418
          response.end()
        })
        const silent = yield* listening(() => {})
        expect(yield* failing(other)).toMatchObject({ code: "not_skein" })
        expect(yield* failing(wrong)).toMatchObject({ code: "not_skein" })
        expect(yield* failing(silent)).toMatchObject({ code: "timeout" })
      })
    )
  )
})
