/** One call of grpc.health.v1's `Check`, on a connection of its own that is closed afterwards. */
import http2 from "node:http2"
import { Effect } from "effect"
import { readGrpcStatus } from "../../model/GrpcStatus.ts"
import { isOwnShortage } from "../../model/OwnShortage.ts"
import { describeSocketError, hostPort, systemCode } from "../../model/SocketFailure.ts"
import { unixPathOf } from "../../model/UnixHost.ts"
import { checkPath, checkRequest, healthOf } from "./GrpcHealth.ts"
import type { CheckResult } from "./HealthState.ts"
import { connectTo, type ProbePlace } from "./ProbePlace.ts"

export interface GrpcProbe extends ProbePlace {
  /** Asked for by name; `""` is the program as a whole. */
  readonly service: string
  /** Milliseconds, as the program is told. */
  readonly timeout: number
  /** What is asked, for people. */
  readonly what: string
}

/** Of an answer; the one that counts has two bytes. */
const longestAnswer = 4_096

/** Never fails: a failure is a result. Interruption closes the connection. */
export const probeGrpc = (probe: GrpcProbe): Effect.Effect<CheckResult> =>
  Effect.async<CheckResult>((resume) => {
    const { host, port, service, timeout, tls, what } = probe
    const ownName = unixPathOf(host) === undefined ? hostPort(host, port) : "localhost"
    const session = http2.connect(`http://${tls?.serverName ?? ownName}`, {
      createConnection: () => connectTo(probe)
    })
    const end = (result: CheckResult): void => {
      session.destroy()
      resume(Effect.succeed(result))
    }
    const fail = (error: Error): void =>
      end({
        ok: false,
        reason: `${what}: ${inWords(beneath(error))}`,
        unasked: isOwnShortage(beneath(error))
      })
    // Both stay for its life: after the end there may still be an error to swallow.
    session.on("error", fail)
    const call = session.request({
      ":method": "POST",
      ":path": checkPath,
      "content-type": "application/grpc",
      te: "trailers",
      "grpc-timeout": `${timeout}m`
    })
    call.on("error", fail)
    let head: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader = {}
    let trailers: http2.IncomingHttpHeaders = {}
    const chunks: Array<Buffer> = []
    let length = 0
    call.on("response", (fields) => {
      head = fields
    })
    call.on("trailers", (fields) => {
      trailers = fields
    })
    call.on("data", (chunk: Buffer) => {
      length += chunk.length
      if (length > longestAnswer)
        fail(new Error(`its answer is longer than ${longestAnswer} bytes`))
      else chunks.push(chunk)
    })
    call.on("end", () => {
      const said = text(trailers["grpc-status"] ?? head["grpc-status"])
      const answer = {
        httpStatus: head[":status"] ?? 0,
        contentType: head["content-type"],
        grpcStatus: said === undefined ? undefined : readGrpcStatus(said),
        grpcMessage: text(trailers["grpc-message"] ?? head["grpc-message"]),
        body: Buffer.concat(chunks)
      }
      end(healthOf(answer, what, service))
    })
    call.end(checkRequest(service))
    return Effect.sync(() => session.destroy())
  })

const text = (value: string | ReadonlyArray<string> | undefined): string | undefined =>
  typeof value === "object" ? value[0] : value

/** Of a call, which hears first, what befell its connection. */
const beneath = (error: Error): Error => (error.cause instanceof Error ? error.cause : error)

const inWords = (error: Error): string =>
  systemCode(error)?.startsWith("ERR_HTTP2") === true
    ? `it does not speak HTTP/2 as it should (${error.message})`
    : describeSocketError(error)
