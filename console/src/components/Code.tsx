// Something to copy: SQL, a line of configuration, a command.
import { CheckOutlined, CopyOutlined } from '@ant-design/icons';
import { Button } from 'antd';
import { useState } from 'react';
import { useT } from '../i18n';

export function CopyButton({ text, label }: { text: string; label?: string }) {
  const t = useT();
  const [done, setDone] = useState(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      copyOldWay(text); // no clipboard without TLS off loopback
    }
    setDone(true);
    setTimeout(() => setDone(false), 1500);
  };
  const name = done ? t('action.copied') : (label ?? t('action.copy'));
  return (
    <Button size="small" type="text" icon={done ? <CheckOutlined /> : <CopyOutlined />} aria-label={name} title={name} onClick={() => void copy()}>
      {label && name}
    </Button>
  );
}

function copyOldWay(text: string) {
  const area = document.createElement('textarea');
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand('copy');
  area.remove();
}

export function Code({ text, maxHeight, label }: { text: string; maxHeight?: number | string; label?: string }) {
  return (
    <div style={{ position: 'relative' }}>
      <pre className="code mono" style={{ maxHeight }} role="group" tabIndex={0} aria-label={label}>
        {text}
      </pre>
      <span style={{ position: 'absolute', top: 4, right: 4 }}>
        <CopyButton text={text} />
      </span>
    </div>
  );
}
