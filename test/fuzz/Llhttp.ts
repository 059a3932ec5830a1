/**
 * llhttp in its strict mode, by the binding that node:http itself stands on: no sockets and no
 * streams, so that millions of inputs are possible. The binding is Node's own and has no types;
 * what is used of it is declared here and looked at once, when this module is loaded.
 */
import { createRequire } from "node:module"

interface Binding {
  initialize(type: number, resource: object, maxHeaderSize: number, lenientFlags: number): void
  /** Bytes read, or an error with `code` and `bytesParsed`. */
  execute(
    bytes: Buffer
  ): number | (Error & { code?: string; reason?: string; bytesParsed?: number })
  /** The end of the connection; an error where a message is cut short. */
  finish(): undefined | (Error & { code?: string })
  close(): void
  /** Callbacks, in numbered slots. */
  [slot: number]: ((...args: Array<never>) => number | undefined) | undefined
}

interface BindingClass {
  new (): Binding
  readonly REQUEST: number
  readonly RESPONSE: number
  readonly kOnHeaders: number
  readonly kOnHeadersComplete: number
  readonly kOnBody: number
  readonly kOnMessageComplete: number
  readonly kLenientNone: number
}

const { HTTPParser, methods }: { HTTPParser: BindingClass; methods: ReadonlyArray<string> } =
  createRequire(import.meta.url)("_http_common")

if (typeof HTTPParser?.kOnHeadersComplete !== "number" || !methods.includes("GET")) {
  throw new Error("this Node has no HTTPParser in _http_common: the comparison needs another way")
}

/** A message as llhttp tells it, before any of its fields is interpreted. */
export interface RawMessage {
  readonly minor: number
  readonly method: string
  readonly url: string
  readonly status: number
  readonly reason: string
  /** Flat: name, value, name, value. */
  readonly fields: ReadonlyArray<string>
  readonly upgrade: boolean
  readonly keepAlive: boolean
  body: string
  trailers: ReadonlyArray<string>
  complete: boolean
}

export interface RawReading {
  readonly messages: ReadonlyArray<RawMessage>
  /** Why llhttp refused; undefined when it did not. The end within a message is no refusal. */
  readonly refused: string | undefined
  /** The same in llhttp's words, where it has some. */
  readonly reason: string
  /** How far it read. */
  readonly read: number
}

/** What follows the head: as the head says, nothing (HEAD), or a tunnel (CONNECT). */
export type After = "body" | "nothing" | "tunnel"

const codeOf = { body: 0, nothing: 1, tunnel: 2 } as const
const maxHeaderSize = 1024 * 1024

/** `after` is asked at each head, as node:http's own callers answer that question. */
export const readByLlhttp = (
  kind: "request" | "response",
  bytes: Buffer,
  after: (message: RawMessage) => After
): RawReading => {
  const messages: Array<RawMessage> = []
  const parser = new HTTPParser()
  parser.initialize(
    kind === "request" ? HTTPParser.REQUEST : HTTPParser.RESPONSE,
    {},
    maxHeaderSize,
    HTTPParser.kLenientNone
  )
  let flushed: Array<string> = []
  let flushedUrl = ""
  // Fields come here in portions of 32, and trailers, and (a peculiarity) all of the heads after.
  parser[HTTPParser.kOnHeaders] = (fields: ReadonlyArray<string>, url: string) => {
    flushed = flushed.concat(fields)
    flushedUrl += url
    return undefined
  }
  parser[HTTPParser.kOnHeadersComplete] = (
    _major: number,
    minor: number,
    fields: ReadonlyArray<string> | undefined,
    method: number | undefined,
    url: string | undefined,
    status: number | undefined,
    reason: string | undefined,
    upgrade: boolean,
    keepAlive: boolean
  ) => {
    const message: RawMessage = {
      minor,
      method: method === undefined ? "" : (methods[method] ?? ""),
      url: url ?? flushedUrl,
      status: status ?? 0,
      reason: reason ?? "",
      fields: fields ?? flushed,
      upgrade,
      keepAlive,
      body: "",
      trailers: [],
      complete: false
    }
    flushed = []
    flushedUrl = ""
    messages.push(message)
    return codeOf[after(message)]
  }
  parser[HTTPParser.kOnBody] = (part: Buffer) => {
    messages.at(-1)!.body += part.toString("latin1")
    return undefined
  }
  parser[HTTPParser.kOnMessageComplete] = () => {
    const message = messages.at(-1)!
    message.trailers = flushed
    message.complete = true
    flushed = []
    flushedUrl = ""
    return undefined
  }
  const result = parser.execute(bytes)
  let refused: string | undefined
  let reason = ""
  let read = bytes.length
  if (typeof result === "number") {
    read = result
    const last = messages.at(-1)
    // After an upgrade it reads no more, and has nothing to say about the end either. In the body
    // of one the binding keeps errors to itself and only stops reading.
    if (last?.upgrade !== true) parser.finish()
    else if (!last.complete && read < bytes.length) refused = "HPE_IN_BODY_OF_UPGRADE"
  } else {
    refused = result.code ?? "unknown"
    reason = result.reason ?? ""
    read = result.bytesParsed ?? 0
  }
  parser.close()
  return { messages, refused, reason, read }
}

/** Methods that llhttp knows; it refuses all others, which an intermediary may not. */
export const registeredMethods: ReadonlySet<string> = new Set(methods)
