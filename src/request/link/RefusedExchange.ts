/** An exchange that was over before it began: the fault follows in a microtask (rule 1). */
import type { RequestStream, ResponseReceiver } from "../../model/Exchange.ts"
import type { Fault } from "../../model/Fault.ts"

export const refuse = (receiver: ResponseReceiver, fault: Fault): RequestStream => {
  let cancelled = false
  queueMicrotask(() => {
    if (!cancelled) receiver.onFault(fault)
  })
  return {
    write: () => true,
    end: () => {},
    resume: () => {},
    cancel: () => {
      cancelled = true
    }
  }
}
