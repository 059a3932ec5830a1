/** What the load speaks with the proxies and they with the upstream, and whether an answer comes through. */
import { type ClientHttp2Session, connect } from "node:http2"
import { grpcAnswer, grpcPath, grpcRequest } from "../load/GrpcMessages.ts"
import { responseBody } from "../UpstreamPaths.ts"
import { get } from "./Get.ts"

/** HTTP/1.1, HTTP/2 with prior knowledge, or gRPC, which is HTTP/2 with trailers. */
export type Speech = "http1" | "http2" | "grpc"

interface Answered {
  readonly body: string
  readonly grpcStatus: unknown
}

/** How long an answer may take, ms. */
const patience = 5_000

const overSession = (
  session: ClientHttp2Session,
  host: string,
  speech: Speech
): Promise<Answered> =>
  new Promise((resolve, reject) => {
    session.on("error", reject)
    const stream = session.request({
      ":authority": host,
      ...(speech === "grpc"
        ? {
            ":method": "POST",
            ":path": grpcPath,
            "content-type": "application/grpc",
            te: "trailers"
          }
        : {})
    })
    let body = ""
    let grpcStatus: unknown
    stream.setEncoding("latin1").on("data", (text: string) => {
      body += text
    })
    stream.on("trailers", (fields) => {
      grpcStatus = fields["grpc-status"]
    })
    stream.on("end", () => resolve({ body, grpcStatus }))
    stream.on("error", reject)
    stream.setTimeout(patience, () => stream.destroy(new Error(`no answer in ${patience} ms`)))
    stream.end(speech === "grpc" ? grpcRequest : undefined)
  })

const byHttp2 = async (entry: string, host: string, speech: Speech): Promise<Answered> => {
  const session = connect(`http://${entry}`)
  try {
    return await overSession(session, host, speech)
  } finally {
    session.destroy()
  }
}

/** Throws when what is answered at `entry` is not what the upstream says. */
export const expectAnswer = async (entry: string, host: string, speech: Speech): Promise<void> => {
  if (speech === "http1") {
    const { text } = await get(entry, host)
    if (text === responseBody) return
    throw new Error(`it answered ${JSON.stringify(text.slice(0, 200))}`)
  }
  const { body, grpcStatus } = await byHttp2(entry, host, speech)
  const meant = speech === "grpc" ? grpcAnswer.toString("latin1") : responseBody
  if (body === meant && (speech !== "grpc" || grpcStatus === "0")) return
  throw new Error(`it answered ${JSON.stringify(body.slice(0, 200))}, grpc-status ${grpcStatus}`)
}
