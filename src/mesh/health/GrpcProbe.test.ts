/** Health of gRPC programs: a server of @grpc/grpc-js, and answers that none should give. */
import http from "node:http"
import http2 from "node:http2"
import net from "node:net"
import { afterAll, beforeAll, describe, expect, it } from "@effect/vitest"
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData } from "@grpc/grpc-js"
import { Effect } from "effect"
import { freePort } from "../../testing/InboundFixture.ts"
import { type CheckAnswer, checkRequest, healthOf } from "./GrpcHealth.ts"
import { probe } from "./HealthProbe.ts"

const bytes = (buffer: Buffer): Buffer => buffer
/** What the server says of each service, by the bytes of the request. */
const known = new Map<string, number>([
  ["", 1],
  ["shop.v1.Payments", 1],
  ["shop.v1.Refunds", 2],
  ["shop.v1.New", 0]
])
const server = new Server()
let port = 0

beforeAll(async () => {
  server.addService(
    {
      Check: {
        path: "/grpc.health.v1.Health/Check",
        ...{ requestStream: false, responseStream: false },
        ...{ requestSerialize: bytes, requestDeserialize: bytes },
        ...{ responseSerialize: bytes, responseDeserialize: bytes }
      }
    },
    {
      Check: ({ request }: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) => {
        const status = known.get(request.subarray(2).toString())
        if (status === undefined) done({ code: 5, details: "unknown service" })
        // 0 is left out, as every writer of Protocol Buffers does.
        else done(null, status === 0 ? Buffer.alloc(0) : Buffer.of(0x08, status))
      }
    }
  )
  port = await new Promise((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error)
    )
  })
})

afterAll(() => server.forceShutdown())

const ask = (at: number, service = "", timeout = 2_000) => {
  const check = { kind: "grpc", service, interval: 1_000, timeout } as const
  // As the checker has it: the mesh's name of the service is beside it.
  const endpoint = { service: "payments", id: "0", host: "127.0.0.1", port: at, check }
  return probe(endpoint)
}

const withServer = <A>(listener: net.Server, use: (port: number) => Effect.Effect<A>) =>
  Effect.acquireUseRelease(
    Effect.promise(
      () =>
        new Promise<number>((resolve) => {
          listener.listen(0, "127.0.0.1", () => {
            const address = listener.address()
            resolve(typeof address === "object" && address !== null ? address.port : 0)
          })
        })
    ),
    use,
    () => Effect.sync(() => listener.close())
  )

describe("grpc.health.v1 of a program", () => {
  it.live.each([
    ["", true, "grpc.health.v1 at HERE: SERVING"],
    ["shop.v1.Payments", true, "grpc.health.v1 of shop.v1.Payments at HERE: SERVING"],
    ["shop.v1.Refunds", false, "grpc.health.v1 of shop.v1.Refunds at HERE: NOT_SERVING"],
    ["shop.v1.New", false, "grpc.health.v1 of shop.v1.New at HERE: UNKNOWN"],
    [
      ...(["shop.v1.Nobody", false] as const),
      "grpc.health.v1 of shop.v1.Nobody at HERE: NOT_FOUND, it knows of no service shop.v1.Nobody"
    ]
  ] as const)("%j", ([service, ok, reason]) =>
    Effect.gen(function* () {
      const result = yield* ask(port, service)
      expect(result).toEqual({ ok, reason: reason.replace("HERE", `127.0.0.1:${port}`) })
    })
  )

  it.live("that offers none is not well, and is told what is missing", () =>
    Effect.gen(function* () {
      const bare = new Server()
      const at = yield* Effect.promise(
        () =>
          new Promise<number>((resolve) => {
            bare.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (_, bound) =>
              resolve(bound)
            )
          })
      )
      const result = yield* ask(at)
      bare.forceShutdown()
      expect(result.ok).toBe(false)
      expect(result.reason).toContain("UNIMPLEMENTED, it serves no grpc.health.v1")
    })
  )

  it.live("is asked by HTTP/2: who does not speak it, or is not there, says nothing else", () =>
    Effect.gen(function* () {
      const plain = yield* withServer(http.createServer(), (at) => ask(at))
      expect(plain.ok).toBe(false)
      expect(plain.reason).toContain("it does not speak HTTP/2 as it should")
      const nobody = yield* Effect.promise(freePort)
      const down = yield* ask(nobody)
      expect(down.reason).toBe(
        `grpc.health.v1 at 127.0.0.1:${nobody}: ECONNREFUSED, nothing listens there`
      )
      const closes = net.createServer((socket) => socket.end())
      expect((yield* withServer(closes, (at) => ask(at))).ok).toBe(false)
    })
  )

  it.live("is given up after its time, and no connection stays", () =>
    Effect.gen(function* () {
      const seen: Array<{ timeout: string | undefined; closed: Promise<void> }> = []
      const silent = http2.createServer((request) => {
        const closed = new Promise<void>((resolve) => request.stream.session?.on("close", resolve))
        seen.push({ timeout: String(request.headers["grpc-timeout"]), closed })
      })
      const result = yield* withServer(silent, (at) =>
        Effect.gen(function* () {
          const result = yield* ask(at, "", 300)
          yield* Effect.promise(() => seen[0]?.closed ?? Promise.resolve())
          return result
        })
      )
      expect(result.reason).toContain("no answer within 300 ms")
      expect(seen.map(({ timeout }) => timeout)).toEqual(["300m"])
    })
  )
})

describe("an answer", () => {
  const message = (...body: ReadonlyArray<number>): Buffer =>
    Buffer.from([0, 0, 0, 0, body.length, ...body])
  const said = (change: Partial<CheckAnswer>) => {
    const { ok, reason } = healthOf(
      {
        httpStatus: 200,
        contentType: "application/grpc",
        grpcStatus: 0,
        grpcMessage: undefined,
        body: message(0x08, 1),
        ...change
      },
      "check",
      ""
    )
    return `${ok ? "+" : "-"} ${reason}`
  }

  it.each<readonly [Partial<CheckAnswer>, string]>([
    [{}, "+ check: SERVING"],
    [{ body: message(0x10, 7, 0x1a, 1, 9, 0x08, 1) }, "+ check: SERVING"],
    [{ body: message(0x08, 9) }, "- check: status 9"],
    [{ body: message() }, "- check: UNKNOWN"],
    [{ body: message(0x08) }, "- check: its answer is no HealthCheckResponse"],
    [{ body: message(0x1a, 5, 1) }, "- check: its answer is no HealthCheckResponse"],
    [{ body: Buffer.of(1, 0, 0, 0, 0) }, "- check: its answer is no HealthCheckResponse"],
    [{ body: Buffer.alloc(0) }, "- check: its answer is no HealthCheckResponse"],
    [{ httpStatus: 404 }, "- check: status 404 of HTTP"],
    [
      { grpcStatus: undefined, contentType: "text/html" },
      "- check: its answer (text/html) has no grpc-status"
    ],
    [{ grpcStatus: 14, grpcMessage: "soon" }, "- check: UNAVAILABLE, soon"]
  ])("%j is %s", (change, words) => {
    expect(said(change)).toBe(words)
  })

  it("to a service with a long name is asked for as it should", () => {
    const name = "x".repeat(200)
    expect(checkRequest(name)).toEqual(
      Buffer.concat([Buffer.of(0, 0, 0, 0, 203, 0x0a, 0xc8, 1), Buffer.from(name)])
    )
  })
})
