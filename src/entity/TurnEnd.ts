/** What a message has come to when its handler has ended: an answer, or the end of its actor's life. */
import { Cause, Exit } from "effect"
import type { ActorAddress } from "./ActorAddress.ts"
import { ActorUnavailable } from "./ActorError.ts"
import type { ActorMemory } from "./ActorMemory.ts"
import type { Delivery } from "./Delivery.ts"
import { isKeyed } from "./Message.ts"

const isDefect = (cause: Cause.Cause<unknown>): boolean =>
  Cause.isDie(cause) && !Cause.isInterrupted(cause)

/** Half a message is not saved where it has a key: it will be sent again. */
export const breaksLife = (
  { message }: Delivery,
  cause: Cause.Cause<unknown>,
  memory: ActorMemory | undefined
): boolean => {
  const isHalf = Cause.isInterrupted(cause) && memory?.forgotten !== true
  return isDefect(cause) || (isHalf && isKeyed(message))
}

/** `mayAnswer`: what it says was true when it was saved, or is still. */
export const giveAnswer = (
  delivery: Delivery,
  exit: Exit.Exit<unknown, unknown>,
  address: ActorAddress,
  mayAnswer: boolean
): void => {
  // What was interrupted, and not by who sent it, is no answer.
  if (Exit.isFailure(exit) && Cause.isInterruptedOnly(exit.cause)) {
    delivery.refuse(ActorUnavailable.of("stopped", address, "was interrupted", { sent: true }))
  } else if (mayAnswer) delivery.answer(exit)
  else {
    const what = "has lost its shard's lease before it had answered"
    delivery.refuse(ActorUnavailable.of("not_leased", address, what, { sent: true }))
  }
}
