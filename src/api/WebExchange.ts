/**
 * One exchange as a promise of a web `Response`: the bridge between the request plane's callbacks
 * and everything that speaks streams. The response body is pulled, so a slow reader stops the
 * endpoint; cancelling the body or the signal cancels the exchange all the way up.
 */
import type { Call, Dispatch, RequestStream, ResponseHead } from "../model/Exchange.ts"
import { noFields } from "../model/Exchange.ts"
import type { Fault } from "../model/Fault.ts"

/** A call that the mesh itself ended; `fault` says why, with a stable code. */
export class MeshFault extends Error {
  readonly fault: Fault
  constructor(fault: Fault) {
    super(`${fault.code}: ${fault.message}`)
    this.name = "MeshFault"
    this.fault = fault
  }
}

/** Statuses whose response has no body; the web `Response` refuses one (Fetch §2.2.3). */
const bodiless = new Set([204, 205, 304])

const webHeaders = (head: ResponseHead): Headers => {
  const headers = new Headers()
  for (let i = 0; i < head.fields.length; i += 2) {
    headers.append(head.fields[i] ?? "", head.fields[i + 1] ?? "")
  }
  if (head.framing.kind === "length") headers.set("content-length", String(head.framing.length))
  return headers
}

/** Chunks held for a reader that is slower than one tick; then `onData` answers false. */
const bufferedChunks = 4

export const exchangeToResponse = (
  dispatch: Dispatch,
  call: Call,
  body: ReadableStream<Uint8Array> | Uint8Array | undefined,
  signal: AbortSignal
): Promise<Response> =>
  new Promise((resolve, reject) => {
    let stream: RequestStream | undefined
    let controller: ReadableStreamDefaultController<Uint8Array> | undefined
    let over = false
    let wakeWriter: (() => void) | undefined

    const finish = () => {
      over = true
      signal.removeEventListener("abort", onAbort)
      wakeWriter?.()
    }
    const cancel = (message: string) => {
      if (over) return
      finish()
      stream?.cancel({
        code: "client_gone",
        message,
        node: "",
        service: call.service,
        sent: true
      })
    }
    const fail = (error: Error) => {
      if (controller === undefined) reject(error)
      else controller.error(error)
    }
    const onAbort = () => {
      cancel("the calling program interrupted the request")
      fail(new DOMException("The request was interrupted", "AbortError"))
    }

    stream = dispatch(call, {
      onInfo() {
        // 103 Early Hints and the like have no place in a web Response.
      },
      onHead(head) {
        const withBody = call.head?.method !== "HEAD" && !bodiless.has(head.status)
        const readable = new ReadableStream<Uint8Array>(
          {
            start(it) {
              controller = it
            },
            pull() {
              stream?.resume()
            },
            cancel() {
              cancel("the calling program stopped reading the response")
            }
          },
          new CountQueuingStrategy({ highWaterMark: bufferedChunks })
        )
        resolve(
          new Response(withBody ? readable : null, {
            status: head.status,
            statusText: head.reason,
            headers: webHeaders(head)
          })
        )
      },
      onData(chunk) {
        controller?.enqueue(chunk)
        return (controller?.desiredSize ?? 1) > 0
      },
      onEnd() {
        finish()
        controller?.close()
      },
      onFault(fault) {
        finish()
        fail(new MeshFault(fault))
      },
      onWritable() {
        wakeWriter?.()
      }
    })

    if (signal.aborted) return onAbort()
    signal.addEventListener("abort", onAbort, { once: true })
    sendBody(stream, body, {
      over: () => over,
      writable: () =>
        new Promise<void>((wake) => {
          wakeWriter = wake
        })
    }).catch((cause: unknown) => {
      cancel("the request body could not be read")
      fail(cause instanceof Error ? cause : new Error(String(cause)))
    })
  })

const sendBody = async (
  stream: RequestStream,
  body: ReadableStream<Uint8Array> | Uint8Array | undefined,
  flow: { readonly over: () => boolean; readonly writable: () => Promise<void> }
): Promise<void> => {
  if (body instanceof Uint8Array) {
    if (body.length > 0) stream.write(body)
  } else if (body !== undefined) {
    const reader = body.getReader()
    for (;;) {
      const { done, value } = await reader.read()
      if (done) break
      if (flow.over()) return reader.cancel()
      if (!stream.write(value)) await flow.writable()
    }
  }
  if (!flow.over()) stream.end(noFields)
}
