import type { ReactNode } from "react";
import { Button } from "./Button";
import { Dialog } from "./Dialog";

interface ConfirmDialogProps {
  title: string;
  open: boolean;
  onClose: () => void;
  /** What the button that goes ahead says. */
  action: string;
  onConfirm: () => void;
  /** What will happen. */
  children: ReactNode;
}

/** Asks before something that can't be undone. */
export function ConfirmDialog({ title, open, onClose, action, onConfirm, children }: ConfirmDialogProps) {
  const confirm = () => {
    onClose();
    onConfirm();
  };
  return (
    <Dialog title={title} open={open} onClose={onClose}>
      <p>{children}</p>
      <div className="mt-5 flex flex-wrap justify-end gap-3">
        <Button onClick={onClose}>Cancel</Button>
        <Button kind="danger" onClick={confirm}>
          {action}
        </Button>
      </div>
    </Dialog>
  );
}
