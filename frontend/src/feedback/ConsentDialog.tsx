import { Button } from "@/ui/Button";
import { Dialog } from "@/ui/Dialog";
import { useConsent } from "./consent";

interface ConsentDialogProps {
  open: boolean;
  /** Called once the creator has answered. */
  onAnswer: (agreed: boolean) => void;
}

/** Asks whether photos and captions may be kept for feedback. Closing the dialog is a no. */
export function ConsentDialog({ open, onAnswer }: ConsentDialogProps) {
  const [, setConsent] = useConsent();
  const answer = (agreed: boolean) => {
    setConsent(agreed ? "yes" : "no");
    onAnswer(agreed);
  };
  return (
    <Dialog title="May we keep it for feedback?" open={open} onClose={() => open && answer(false)}>
      <div className="flex flex-col gap-3">
        <p>
          If you say yes, the service keeps your first photo and its captions for about a day, so that you can
          rate or correct them. Without your feedback, they are deleted then.
        </p>
        <p>
          A rating or an edit that you send stays with the photo until you erase it. People who check captions
          can see it, and later models learn from it. Captions that you edit, or give 4 or 5 stars, join your
          voice.
        </p>
        <p>
          You can erase everything under “What you have sent”, and change your answer under “About”. Captions
          are the same either way.
        </p>
        <div className="mt-2 grid grid-cols-2 gap-3">
          <Button onClick={() => answer(false)}>No</Button>
          <Button onClick={() => answer(true)}>Yes</Button>
        </div>
      </div>
    </Dialog>
  );
}
