/**
 * What the mesh has answered, with as much of a web `Response` as @effect/platform asks of one. A real one is made for
 * forms alone: Node loads all of its `fetch` for the first, which takes 40 ms of processor time and 16 MB.
 */
import type { ResponseHead } from "../model/Exchange.ts"

const decoder = new TextDecoder()

/** Fields of a head as a web `Headers` has them: names in small letters, and what is repeated joined by commas. */
export class AnswerHeaders implements Iterable<readonly [string, string]> {
  readonly #values = new Map<string, string>()
  readonly #cookies: Array<string> = []

  constructor({ fields, framing, upgrade }: ResponseHead) {
    for (let i = 0; i < fields.length; i += 2) {
      const [name, value] = [fields[i]?.toLowerCase() ?? "", fields[i + 1] ?? ""]
      if (name === "set-cookie") this.#cookies.push(value)
      else {
        const known = this.#values.get(name)
        this.#values.set(name, known === undefined ? value : `${known}, ${value}`)
      }
    }
    if (framing.kind === "length") this.#values.set("content-length", String(framing.length))
    // What the program can switch to, or wants one to (426): here only to be looked at.
    if (upgrade !== undefined) this.#values.set("upgrade", upgrade)
  }

  get(name: string): string | null {
    return this.#values.get(name) ?? null
  }

  getSetCookie(): ReadonlyArray<string> {
    return this.#cookies
  }

  *[Symbol.iterator](): Iterator<readonly [string, string]> {
    yield* this.#values
    for (const cookie of this.#cookies) yield ["set-cookie", cookie]
  }
}

export class MeshAnswer {
  readonly status: number
  readonly headers: AnswerHeaders
  readonly body: ReadableStream<Uint8Array> | null
  readonly #reason: string

  constructor(head: ResponseHead, body: ReadableStream<Uint8Array> | null) {
    this.status = head.status
    this.headers = new AnswerHeaders(head)
    this.body = body
    this.#reason = head.reason
  }

  async text(): Promise<string> {
    return decoder.decode(await this.#bytes())
  }

  async arrayBuffer(): Promise<ArrayBuffer> {
    const { buffer, byteLength, byteOffset } = await this.#bytes()
    return buffer.slice(byteOffset, byteOffset + byteLength)
  }

  formData(): Promise<FormData> {
    return this.web.formData()
  }

  /** For what only the platform reads. */
  get web(): Response {
    const headers = Array.from(this.headers, ([name, value]): [string, string] => [name, value])
    return new Response(this.body, { status: this.status, statusText: this.#reason, headers })
  }

  /** Once: the reader is not given back, so that whoever comes later is told, and does not find nothing. */
  async #bytes(): Promise<Uint8Array<ArrayBuffer>> {
    if (this.body === null) return new Uint8Array(0)
    const reader = this.body.getReader()
    const chunks: Array<Uint8Array> = []
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return Buffer.concat(chunks)
      chunks.push(value)
    }
  }
}
