/**
 * Statements without cryptography: the bytes of each are known to be its author's by the object that they
 * are. What signing and verifying cost is charged where it is done.
 */
import type { Statement, StatementDoor } from "../../mesh/membership/Statement.ts"
import type { PeerKey } from "../../model/Names.ts"
import { type Message, membershipTopic } from "./Message.ts"

export class Statements {
  readonly #said = new WeakMap<Uint8Array, Statement>()
  readonly #messages = new WeakMap<Uint8Array, Message>()
  readonly #make: (bytes: Uint8Array) => Message

  constructor(make: (topic: typeof membershipTopic, bytes: Uint8Array) => Message) {
    this.#make = (bytes) => make(membershipTopic, bytes)
  }

  seal(by: PeerKey, said: Parameters<StatementDoor["seal"]>[0]): Uint8Array {
    const bytes = new Uint8Array(1)
    const { incarnation } = said
    this.#said.set(
      bytes,
      said.kind === "alive"
        ? { kind: "alive", subject: by, incarnation }
        : { kind: "suspect", subject: said.subject, incarnation, by }
    )
    return bytes
  }

  open(bytes: Uint8Array): Statement {
    const said = this.#said.get(bytes)
    if (said === undefined) throw new Error("a statement that nobody in this mesh has made")
    return said
  }

  message(bytes: Uint8Array): Message {
    const known = this.#messages.get(bytes)
    if (known !== undefined) return known
    const message = this.#make(bytes)
    this.#messages.set(bytes, message)
    return message
  }
}
