"""What is asked of outside parties in tests: a parcel, an invoice with its red line, a refund."""

from datetime import date
from decimal import Decimal

from integrations.carrier.port import Address, Consignment, ConsignmentLine
from integrations.einvoice.port import InvoiceDraft, InvoiceLine, InvoiceParty, RedLine, TaxAtRate
from integrations.payment.port import RefundRequest

CONSIGNMENT = Consignment(
    shipment_no="SH2611-7KQ3M9TX-1",
    order_no="SO2611-7KQ3M9TX",
    warehouse="main",
    ship_to=Address("王小明", "CN", "浙江省", "杭州市", "西湖区文三路 1 号", "310000", "13800000000"),
    lines=(ConsignmentLine("SKU-1", 2, "面膜"),),
    cod_amount_minor=0,
    currency="CNY",
)

RATE = Decimal("0.13")
DRAFT = InvoiceDraft(
    invoice_key="SO1/invoice/1",
    seller=InvoiceParty("示范商贸有限公司", "91330000MA27XXXX1A"),
    buyer=InvoiceParty("王小明"),
    currency="CNY",
    lines=(
        InvoiceLine("SO1", "1", "SKU-1", "面膜", 2, 20000, 2600, 22600, RATE),
        InvoiceLine("SO1", "2", "SKU-2", "安装 <上门>", 1, 5000, 300, 5300, Decimal("0.06")),
    ),
    tax_by_rate=(TaxAtRate(RATE, 20000, 2600), TaxAtRate(Decimal("0.06"), 5000, 300)),
    net_minor=25000,
    tax_minor=2900,
    gross_minor=27900,
    issue_date=date(2026, 11, 22),
)
ONE_BACK = (RedLine("SO1", "1", 1, 10000, 1300, 11300, RATE),)

REFUND = RefundRequest("SO1", "P-1", "RF-1", 11300, "CNY", "alipay")
