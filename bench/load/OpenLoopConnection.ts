/** One connection of the open loop: one request at a time, over and over, on a raw socket. */
import { createConnection, type Socket } from "node:net"

const headEnd = Buffer.from("\r\n\r\n")

export interface Answered {
  readonly status: number
  readonly keepAlive: boolean
}

/** The parts of a response head that the loop needs; answers here always state their length. */
export const parseHead = (
  text: string
): { readonly status: number; readonly length: number; readonly keepAlive: boolean } => {
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(text)?.[1])
  const length = /^content-length: *(\d+) *\r?$/im.exec(text)?.[1]
  if (!Number.isInteger(status) || length === undefined) {
    throw new Error(`an answer without status or Content-Length: ${text.slice(0, 200)}`)
  }
  return {
    status,
    length: Number(length),
    keepAlive: !/^connection: *close *\r?$/im.test(text)
  }
}

export class OpenLoopConnection {
  readonly #socket: Socket
  readonly #done: (self: OpenLoopConnection, index: number, answer: Answered | undefined) => void
  #index = -1
  #head: Buffer | undefined
  #answer: Answered | undefined
  #rest = 0
  closed = false

  /** `done` gets undefined for a request whose connection broke before the answer was complete. */
  constructor(
    host: string,
    port: number,
    done: (self: OpenLoopConnection, index: number, answer: Answered | undefined) => void
  ) {
    this.#done = done
    this.#socket = createConnection({ host, port, noDelay: true })
    this.#socket.on("data", (chunk) => this.#take(chunk))
    this.#socket.on("error", () => undefined) // "close" follows
    this.#socket.on("close", () => {
      this.closed = true
      this.#finish(undefined)
    })
  }

  send(index: number, request: Buffer): void {
    this.#index = index
    this.#socket.write(request)
  }

  close(): void {
    this.#socket.destroy()
  }

  #take(chunk: Buffer): void {
    let body = chunk
    if (this.#answer === undefined) {
      const seen = this.#head === undefined ? chunk : Buffer.concat([this.#head, chunk])
      const end = seen.indexOf(headEnd)
      if (end < 0) {
        this.#head = seen
        return
      }
      const { length, ...answer } = parseHead(seen.toString("latin1", 0, end + 2))
      this.#answer = answer
      this.#rest = length
      this.#head = undefined
      body = seen.subarray(end + headEnd.length)
    }
    this.#rest -= body.length
    if (this.#rest <= 0) this.#finish(this.#answer)
  }

  #finish(answer: Answered | undefined): void {
    const index = this.#index
    this.#index = -1
    this.#answer = undefined
    if (index < 0) return
    if (answer !== undefined && !answer.keepAlive) {
      this.closed = true
      this.#socket.destroy()
    }
    this.#done(this, index, answer)
  }
}
