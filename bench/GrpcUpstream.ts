/** What answers calls of gRPC. */
import { join } from "node:path"
import { freePort, start, until } from "../test/fixtures/Processes.ts"
import { expectAnswer } from "./peers/Speech.ts"

const program = join(import.meta.dirname, "load", "GrpcAnswerProgram.ts")

export interface GrpcUpstream {
  /** host:port */
  readonly address: string
  stop(): Promise<unknown>
}

/** Resolves once it answers. */
export const startGrpcUpstream = async (): Promise<GrpcUpstream> => {
  const port = await freePort()
  const address = `127.0.0.1:${port}`
  const running = start(process.execPath, [program], {
    env: { GRPC_PORT: String(port) },
    what: "what answers gRPC"
  })
  await until(
    "calls of gRPC are answered",
    async () => {
      await expectAnswer(address, "bench.mesh", "grpc")
      return true
    },
    20,
    [running]
  )
  return { address, stop: () => running.stop("SIGTERM") }
}
