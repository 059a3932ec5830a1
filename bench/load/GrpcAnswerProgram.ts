/**
 * Answers every call of gRPC with one message and status 0, at 127.0.0.1:GRPC_PORT, by node:http2 alone: what a
 * library of gRPC does beside that is not asked here, and would take of the cores that proxies share.
 */
import { constants, createServer } from "node:http2"
import { grpcAnswer } from "./GrpcMessages.ts"

const server = createServer({ settings: { maxConcurrentStreams: 1_000 } })
server.on("session", (session) => {
  // Whoever goes away in the middle of a frame is gone; the next one is another's business.
  session.on("error", () => session.destroy())
})
server.on("stream", (stream) => {
  stream.on("error", () => stream.close(constants.NGHTTP2_INTERNAL_ERROR))
  stream.on("end", () => {
    if (stream.destroyed) return // who asked is gone, as at the end of a run
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }))
    stream.respond({ "content-type": "application/grpc" }, { waitForTrailers: true })
    stream.end(grpcAnswer)
  })
  stream.resume()
})
server.listen(Number(process.env["GRPC_PORT"]), "127.0.0.1")
process.once("SIGTERM", () => process.exit(0))
