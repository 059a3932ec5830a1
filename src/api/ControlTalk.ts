/** What a program and its node say to each other on one connection `control`: words in lines (ProgramTalkSchema.ts). */
import type { Socket } from "node:net"
import { Either, Schema } from "effect"
import { Lines } from "../request/wire/Lines.ts"
import { parseObject } from "../request/wire/ProgramHello.ts"
import { NodeWord, ProgramWord, talkBytes } from "../schema/ProgramTalkSchema.ts"
import type { NodeConnection } from "./NodeDial.ts"

export interface ControlHearer {
  /** Words of later versions are passed over. */
  readonly onWord: (word: NodeWord) => void
  /** It is over; `reason`: as far as is known. */
  readonly onEnd: (reason: string) => void
}

const decodeWord = Schema.decodeUnknownEither(NodeWord)
const encodeWord = Schema.encodeSync(ProgramWord)

export class ControlTalk {
  readonly #socket: Socket
  readonly #hearer: ControlHearer

  constructor(socket: Socket, hearer: ControlHearer) {
    this.#socket = socket
    this.#hearer = hearer
  }

  /** To what has come already, too. */
  listen({ reads, rest, socket }: NodeConnection): void {
    const lines = new Lines(talkBytes)
    const onData = (bytes: Buffer): void => {
      try {
        lines.push(bytes)
        for (let line = lines.next(); line !== undefined; line = lines.next()) this.#heard(line)
      } catch (error) {
        socket.destroy(error instanceof Error ? error : new Error(String(error)))
      }
    }
    let why = "it closed the connection"
    reads.onBytes = onData
    socket.on("error", (error) => {
      why = error.message
    })
    socket.on("end", () => socket.end())
    socket.once("close", () => this.#hearer.onEnd(why))
    onData(rest)
    socket.resume()
  }

  #heard(line: string): void {
    const read = decodeWord(parseObject(line))
    if (Either.isRight(read)) this.#hearer.onWord(read.right)
  }

  /** False: nothing more goes there. */
  write(word: ProgramWord): boolean {
    if (this.#socket.writable !== true) return false
    this.#socket.write(`${JSON.stringify(encodeWord(word))}\n`)
    return true
  }

  break(): void {
    this.#socket.destroy()
  }

  /** What was said still goes there. */
  end(): void {
    this.#socket.destroySoon()
  }
}
