/**
 * Statements without cryptography: the bytes of each are known to be its author's by the object that they
 * are. What signing and verifying cost is charged where it is done.
 */
import type { Statement, StatementDoor } from "../../mesh/membership/Statement.ts"
import type { PeerKey } from "../../model/Names.ts"
import { type Message, membershipTopic } from "./Message.ts"

/** Bytes that carry what they say: asked for wherever they come. */
class Sealed extends Uint8Array {
  readonly said: Statement
  message: Message | undefined

  constructor(said: Statement) {
    super(1)
    this.said = said
  }
}

const sealed = (bytes: Uint8Array): Sealed => {
  if (bytes instanceof Sealed) return bytes
  throw new Error("a statement that nobody in this mesh has made")
}

export class Statements {
  readonly #make: (bytes: Uint8Array) => Message

  constructor(make: (topic: typeof membershipTopic, bytes: Uint8Array) => Message) {
    this.#make = (bytes) => make(membershipTopic, bytes)
  }

  seal(by: PeerKey, said: Parameters<StatementDoor["seal"]>[0]): Uint8Array {
    const { incarnation } = said
    return new Sealed(
      said.kind === "alive"
        ? { kind: "alive", subject: by, incarnation }
        : { kind: "suspect", subject: said.subject, incarnation, by }
    )
  }

  open(bytes: Uint8Array): Statement {
    return sealed(bytes).said
  }

  message(bytes: Uint8Array): Message {
    const it = sealed(bytes)
    it.message ??= this.#make(bytes)
    return it.message
  }
}
